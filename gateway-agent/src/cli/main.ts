import { PlatformError } from '@domicile/core/errors.ts';
import { terminationSignal } from '@domicile/runtime/service.ts';
import { nearestWord } from '../model/near-word.ts';
import { version } from '../version.ts';
import { checkCommand } from './check-command.ts';
import {
  type Command,
  type ExitCode,
  exitCodes,
  helpOf,
  readArguments,
  type Terminal,
  UsageFault,
} from './command.ts';
import { enrolCommand } from './enrol-command.ts';
import { exportCommand } from './export-command.ts';
import { NoAgent } from './running-agent.ts';
import { runCommand, schemaCommand, upgradeCommand } from './small-commands.ts';
import { statusCommand } from './status-command.ts';

const commands: readonly Command[] = [
  runCommand,
  checkCommand,
  statusCommand,
  exportCommand,
  enrolCommand,
  upgradeCommand,
  schemaCommand,
];

/** The command line: everything of a gateway that a person types. Gives the exit code. */
export async function main(
  args: readonly string[],
  terminal: Terminal = ownTerminal(),
): Promise<ExitCode> {
  const [name = 'help', ...rest] = args;
  if (name === 'version' || name === '--version') {
    terminal.out(`domicile-gateway ${version}\n`);
    return exitCodes.done;
  }
  if (['help', '--help', '-h'].includes(name)) return help(rest[0], terminal);
  const command = commands.find((one) => one.name === name);
  if (!command) return refuse(terminal, unknownText(name));
  if (rest.includes('--help') || rest.includes('-h')) return help(name, terminal);
  try {
    return await command.run(readArguments(command, rest), terminal);
  } catch (error) {
    return failed(error, name, terminal);
  }
}

function failed(error: unknown, name: string, terminal: Terminal): ExitCode {
  if (error instanceof UsageFault)
    return refuse(terminal, `${error.message}\nSee: domicile-gateway help ${name}`);
  if (error instanceof NoAgent) {
    terminal.err(`${error.message}\n`);
    return exitCodes.noAgent;
  }
  if (!(error instanceof PlatformError)) throw error;
  const isConfig = error.code === 'CONFIG_INVALID';
  terminal.err(`${error.message}\n${isConfig ? '' : `${error.decision.action}\n`}`);
  return isConfig ? exitCodes.usage : exitCodes.failed;
}

function help(name: string | undefined, terminal: Terminal): ExitCode {
  if (name === undefined || name === 'help') {
    terminal.out(overview());
    return exitCodes.done;
  }
  const command = commands.find((one) => one.name === name);
  if (!command) return refuse(terminal, unknownText(name));
  terminal.out(helpOf(command));
  return exitCodes.done;
}

function overview(): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return `The gateway agent of a building: takes what devices say, keeps it, brings it to the cell.

  domicile-gateway <command> [configuration file] [options]

${commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join('\n')}
  ${'help'.padEnd(width)}  This, or more of one command: help <command>
  ${'version'.padEnd(width)}  The version of this program

Without a file GATEWAY_CONFIG names it, else it is /etc/domicile/gateway.yaml.

Exit codes: 0 done, 1 failed or something is wrong, 2 the command line or the
configuration is wrong, 3 no agent runs where the configuration says, 4 done, but for what
cannot be read any more.
`;
}

function unknownText(name: string): string {
  const names = commands.map((one) => one.name);
  const meant = nearestWord(name, names);
  const hint = meant === undefined ? `there are ${names.join(', ')}` : `did you mean ${meant}?`;
  return `There is no command ${name}; ${hint}`;
}

function refuse(terminal: Terminal, text: string): ExitCode {
  terminal.err(`${text}\n`);
  return exitCodes.usage;
}

function ownTerminal(): Terminal {
  const { stdout, stderr } = process;
  let stop: AbortSignal | undefined;
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    isLive: stdout.isTTY,
    columns: stdout.columns ?? 80,
    rows: stdout.rows ?? 40,
    hasColour: stdout.isTTY && stdout.hasColors(),
    // Whoever does not ask for it ends by the signal itself.
    get stop() {
      return (stop ??= terminationSignal());
    },
  };
}

import { fileSchema, readCommandConfig, readLogForm } from '../config.ts';
import { jsonSchemaOf } from '../configuration/read-file.ts';
import { type Command, exitCodes } from './command.ts';
import { textLines } from './log-lines.ts';
import { askAgent } from './running-agent.ts';

export const runCommand: Command = {
  name: 'run',
  summary: 'Run the agent until it is told to stop',
  operands: '[file]',
  operandsMax: 1,
  options: {},
  more: `SIGTERM or Ctrl-C stops it in good order: devices are answered, what is on its way
arrives, the store is closed. A second one ends it at once; nothing acked is lost.
Log lines are text on a terminal, else JSON; GATEWAY_LOG=text or =json says which.`,
  run: async ({ files: [file] }, terminal) => {
    const config = await readCommandConfig(file);
    const { createLog } = await import('@domicile/runtime/log.ts');
    const isText = readLogForm() === 'text';
    const log = createLog('gateway-agent', isText ? textLines(terminal) : undefined);
    const { runGateway } = await import('../run.ts');
    await runGateway(config, log);
    return exitCodes.done;
  },
};

export const schemaCommand: Command = {
  name: 'schema',
  summary: 'Print the JSON schema of the configuration file, for editors',
  operands: '',
  operandsMax: 0,
  options: {},
  run: async (_given, terminal) => {
    terminal.out(`${JSON.stringify(jsonSchemaOf(fileSchema), undefined, 2)}\n`);
    return exitCodes.done;
  },
};

/** The next agent starts, recovers nothing and takes over the sockets: seconds, not minutes. */
const upgradeTimeoutMs = 120_000;

export const upgradeCommand: Command = {
  name: 'upgrade',
  summary: 'Let the program on disk take over from the one that runs, without a gap',
  operands: '[file]',
  operandsMax: 1,
  options: {},
  more: `Install the new program in the place of the old one first. Devices stay connected
until their next quiet moment and no message is lost. If the new one does not come
up the old one goes on, and this says why.`,
  run: async ({ files: [file] }, terminal) => {
    const config = await readCommandConfig(file);
    const response = await askAgent(config, '/upgrade', {
      method: 'POST',
      waitMs: upgradeTimeoutMs,
    });
    const text = await response.text();
    if (response.ok) {
      terminal.out(`The new agent has taken over. ${text}\n`);
      return exitCodes.done;
    }
    terminal.err(`The old agent goes on (${response.status}): ${text}\n`);
    return exitCodes.failed;
  },
};

import { PlatformError } from '@domicile/core/errors.ts';
import { fail, type Finding, ok } from '../check/finding.ts';
import { type AgentConfig, readCommandConfig } from '../config.ts';
import { type Command, exitCodes, type Terminal } from './command.ts';

const colours = { ok: '\u001B[32m', warn: '\u001B[33m', fail: '\u001B[31m' } as const;
const plain = '\u001B[0m';
const levelChars = 4;
const whatChars = 12;

export const checkCommand: Command = {
  name: 'check',
  summary: 'Look at everything that a gateway needs, and say what to do about what is wrong',
  operands: '[file]',
  operandsMax: 1,
  options: {
    offline: { type: 'boolean', meaning: 'without the network: no cell, no issuer' },
    json: { type: 'boolean', meaning: 'print the findings as JSON' },
  },
  more: `It looks at the configuration, the files it names, credentials and how long they last,
the disk, the store, ports or the running agent, the cell (by a connection of its own
client id), the issuer and the clock. Exit code 0 if nothing fails (warnings do not), 2 if the
configuration cannot be read.`,
  run: async (given, terminal) => {
    const findings: Finding[] = [];
    const isJson = given.flag('json');
    for await (const finding of findingsOf(given.files[0], given.flag('offline'))) {
      findings.push(finding);
      if (!isJson) terminal.out(lineOf(finding, terminal));
    }
    if (isJson) terminal.out(`${JSON.stringify(findings, undefined, 2)}\n`);
    const count = (level: string) => findings.filter((one) => one.level === level).length;
    if (!isJson)
      terminal.out(`\n${count('ok')} ok, ${count('warn')} to look at, ${count('fail')} failed\n`);
    if (findings.some(({ level, what }) => level === 'fail' && what === 'config'))
      return exitCodes.usage;
    return count('fail') > 0 ? exitCodes.failed : exitCodes.done;
  },
};

async function* findingsOf(file: string | undefined, isOffline: boolean): AsyncGenerator<Finding> {
  let config: AgentConfig;
  try {
    config = await readCommandConfig(file);
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    yield fail('config', error.message.replace('Cannot read settings: ', ''), 'correct the file');
    return;
  }
  yield ok('config', `${config.uplink.gateway} of ${config.building}`);
  const { checkCredentials, checkData, checkNamedFiles } = await import('../check/check-files.ts');
  const { checkAgent, checkStore } = await import('../check/check-agent.ts');
  yield* await checkNamedFiles(config);
  yield* await checkData(config);
  yield* await checkStore(config);
  yield* await checkCredentials(config, Date.now());
  yield* await checkAgent(config);
  if (isOffline) return;
  const { checkCell, checkIssuer } = await import('../check/check-cell.ts');
  yield* await checkIssuer(config);
  yield* await checkCell(config);
}

function lineOf({ level, what, text, todo }: Finding, { hasColour }: Terminal): string {
  const word = hasColour
    ? `${colours[level]}${level.padEnd(levelChars)}${plain}`
    : level.padEnd(levelChars);
  const indent = ' '.repeat(levelChars + whatChars + 2);
  const hint = todo === undefined ? '' : `${indent}→ ${todo}\n`;
  return `${word}  ${what.padEnd(whatChars - 1)} ${text.replaceAll('\n', `\n${indent}`)}\n${hint}`;
}

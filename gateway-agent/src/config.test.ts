import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PlatformError } from '@domicile/core/errors.ts';
import { expect, test } from 'vitest';
import { fileSchema, parseConfig, readConfig, readLogForm } from './config.ts';
import { jsonSchemaOf } from './configuration/read-file.ts';

const least = 'building: de-7f3k\ndataDirectory: data\nuplink: { url: "mqtts://cell:8883" }';

test('three lines suffice, and paths are relative to the file', () => {
  const config = parseConfig(`${least}\n`, '/etc/gateway');
  expect(config).toMatchObject({
    building: 'de-7f3k',
    dataDirectory: '/etc/gateway/data',
    store: { whenFull: 'refuse' },
    uplink: { gateway: 'gateway', building: 'de-7f3k', backfillPerSecond: 2000 },
    drivers: {},
    admin: { host: '127.0.0.1', port: 0 },
  });
});

test('files of the uplink and of drivers are found beside the configuration', () => {
  const text = `${least.replace(' }', ', caFile: ca.pem }')}
drivers: { replay: { mappingFile: ../replay.yaml }, http: { tokensFile: tokens.yaml } }`;
  const { uplink, drivers } = parseConfig(text, '/etc/gateway');
  expect(uplink.caFile).toBe('/etc/gateway/ca.pem');
  expect(drivers.replay?.mappingFile).toBe('/etc/replay.yaml');
  expect(drivers.http).toMatchObject({ port: 8088, tokensFile: '/etc/gateway/tokens.yaml' });
});

/** The lines of what is thrown, without the first. */
function faultsOf(text: string): string[] {
  try {
    parseConfig(text, '/');
  } catch (error) {
    if (error instanceof PlatformError && error.code === 'CONFIG_INVALID')
      return error.message.split('\n').slice(1);
    throw error;
  }
  return [];
}

test('every fault is told at once: file, line, column, path, what is allowed', () => {
  const faults = faultsOf(`building: zz
uplink:
  url: http://x
  cafile: ca.pem
  inFlightMax: "many"
store:
  whenFull: refuze
  bytesMax: 1.5
drivers:
  mqtt: { port: 70000 }
  modbuss: {}
more: 1
`);
  expect(faults).toEqual([
    expect.stringMatching(/^ {2}gateway\.yaml:1:1: dataDirectory: is missing; it must be text/),
    expect.stringMatching(/^ {2}gateway\.yaml:1:11: building: must be .*country/),
    expect.stringMatching(/^ {2}gateway\.yaml:3:8: uplink\.url: must be mqtt:\/\/ or mqtts:\/\//),
    '  gateway.yaml:4:3: uplink.cafile: is no setting; did you mean `caFile`?',
    expect.stringMatching(
      /^ {2}gateway\.yaml:5:16: uplink\.inFlightMax: must be a whole number from 2 to 1000, and is text/,
    ),
    expect.stringMatching(
      /^ {2}gateway\.yaml:7:13: store\.whenFull: must be one of `refuse`, `drop-oldest`; did you mean `refuse`\?/,
    ),
    expect.stringMatching(/^ {2}gateway\.yaml:8:13: store\.bytesMax: must be a whole number of/),
    expect.stringMatching(/^ {2}gateway\.yaml:10:17: drivers\.mqtt\.port: .* from 0 to 65535/),
    expect.stringMatching(/^ {2}gateway\.yaml:11:3: drivers\.modbuss: is no setting/),
    expect.stringMatching(/^ {2}gateway\.yaml:12:1: more: is no setting; known here: building/),
  ]);
});

test('what is no YAML is told with its place, and values never are', () => {
  expect(faultsOf('building: de-7f3k\nuplink: { url: "x\n')[0]).toMatch(/gateway\.yaml:[23]:\d+: /);
  expect(faultsOf('building: a\nbuilding: b')[0]).toMatch(/gateway\.yaml:2:1: .*unique/);
  expect(faultsOf('')[0]).toMatch(/gateway\.yaml:1:1: the file is empty/);
  expect(faultsOf('- a\n- b')[0]).toMatch(/gateway\.yaml:1:1: must be a mapping .* is a list/);
  expect(faultsOf('building: geheim\nuplink: geheim').join('\n')).not.toContain('geheim');
});

test('a certificate has a key, and enrolment needs to know where both go', () => {
  expect(faultsOf(least.replace(' }', ', certFile: a.pem }'))).toEqual([
    '  gateway.yaml:3:1: uplink.keyFile: is missing; certFile and keyFile go together',
  ]);
  const enrolment = ', enrolment: { url: "https://cell:8444", tokenFile: token } }';
  expect(faultsOf(least.replace(' }', enrolment))).toHaveLength(2);
  const whole = least.replace(' }', `, certFile: a.pem, keyFile: a.key${enrolment}`);
  expect(parseConfig(whole, '/etc').uplink.enrolment).toMatchObject({ tokenFile: '/etc/token' });
});

test('a file that is not there is named', async () => {
  await expect(readConfig({}, '/nowhere/gateway.yaml')).rejects.toThrow(
    /Cannot read \/nowhere\/gateway\.yaml \(ENOENT\)/,
  );
});

test('the form of the log can be chosen', () => {
  expect(readLogForm({ GATEWAY_LOG: 'text' })).toBe('text');
  expect(readLogForm({ GATEWAY_LOG: 'json' })).toBe('json');
});

// `node gateway-agent/bin/domicile-gateway.js schema > gateway-agent/gateway.schema.json` writes it anew.
test('gateway.schema.json is what the schema says', async () => {
  const text = await readFile(join(import.meta.dirname, '../gateway.schema.json'), 'utf8');
  expect(JSON.parse(text)).toEqual(jsonSchemaOf(fileSchema));
});

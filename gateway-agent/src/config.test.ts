import { expect, test } from 'vitest';
import { parseConfig } from './config.ts';

const least = 'building: de-7f3k\ndataDirectory: data\nuplink: { url: "mqtts://cell:8883" }';

test('three lines suffice, and paths are relative to the file', () => {
  const config = parseConfig(`${least}\n`, '/etc/gateway');
  expect(config).toMatchObject({
    building: 'de-7f3k',
    dataDirectory: '/etc/gateway/data',
    store: { whenFull: 'refuse' },
    uplink: { gateway: 'gateway', building: 'de-7f3k', backfillPerSecond: 2000 },
    drivers: {},
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

test('every fault is reported at once, and a country-less building is one', () => {
  const read = () => parseConfig('building: zz\nuplink: { url: "http://x" }\nmore: 1', '/');
  expect(read).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  expect(read).toThrow(/building: .*; dataDirectory: .*; uplink.url: .*more/);
});

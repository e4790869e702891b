import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type CellPlan, processesOf } from './cell-processes.ts';

const names = [
  'broker',
  'tasks',
  'lander',
  'serving-builder',
  'serving-api',
  'raw-api',
  'commands',
  'issuer',
  'api-gateway',
];
const dir = '/cells/de';
const plan: CellPlan = {
  name: 'de',
  country: 'DE',
  dir,
  lakeDir: join(dir, 'lake'),
  rawScratchDir: join(dir, 'raw'),
  logDir: join(dir, 'logs'),
  kafkaBootstrap: '127.0.0.1:1',
  kafkaPasswordFile: (principal) => join(dir, 'secrets', `kafka-${principal}`),
  doorSecretFiles: { serving: 'a', raw: 'b', commands: 'c' },
  tls: { certFile: 'broker.pem', keyFile: 'broker.key', caFile: 'cell-authority.pem' },
  issuing: {
    authorityKeyFile: join(dir, 'secrets/cell-authority.key'),
    certFile: 'issuer.pem',
    keyFile: 'issuer.key',
    enrolmentsDir: join(dir, 'enrolments'),
    stateDir: join(dir, 'issuer'),
  },
  issuer: 'http://127.0.0.1:2',
  jwks: 'jwks.json',
  webOrigins: [],
  cells: new Map(),
  flushMs: { landing: 1, serving: 1 },
  overrides: {},
  ports: {
    mqtt: 1,
    mqtts: 2,
    moreBrokers: [],
    api: 3,
    serving: 4,
    raw: 5,
    commands: 6,
    est: 7,
    admin: Object.fromEntries(names.map((name, index) => [name, 10 + index])),
  },
};

test("the authority's key is named to the issuer alone, which is confined to its own files", () => {
  const specs = processesOf(plan);
  const told = specs.filter((spec) => JSON.stringify(spec).includes('cell-authority.key'));
  expect(told.map(({ name }) => name)).toEqual(['de-issuer']);
  const { env = {}, nodeFlags = [] } = told[0] ?? {};
  expect(nodeFlags).toContain('--permission');
  expect(nodeFlags.filter((flag) => flag.startsWith('--allow-fs-write'))).toEqual([
    `--allow-fs-write=${plan.issuing.stateDir}`,
  ]);
  const readable = nodeFlags.filter((flag) => flag.startsWith('--allow-fs-read'));
  expect(readable.filter((flag) => /kafka|lake|credentials|=\/$|secrets$/.test(flag))).toEqual([]);
  expect(Object.keys(env).filter((name) => name.startsWith('KAFKA'))).toEqual([]);
});

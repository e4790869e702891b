import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { routes } from '@domicile/api-gateway/model/routes.ts';
import { builtInDeviceTypes } from '@domicile/core/device-types.ts';
import { errorDecisions } from '@domicile/core/errors.ts';
import { quarantineReasons } from '@domicile/core/quarantine.ts';
import { rights, streams } from '@domicile/core/streams.ts';
import { units } from '@domicile/core/units.ts';
import { expect, test } from 'vitest';

// What the documents promise to strangers is what the code does, and what they point at is there.

const root = join(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

/** The rows of a document's tables, or of one section's, as their cells by the text of the first one. */
function rowsOf(file: string, section = ''): ReadonlyMap<string, readonly string[]> {
  const parts = `\n${read(file)}`.split('\n## ');
  const within = parts.filter((part) => part.startsWith(section)).join('\n');
  const rows = [...within.matchAll(/^\| (.*) \|$/gm)].map(([, line = '']) =>
    line.split(' | ').map((cell) => cell.trim()),
  );
  return new Map(rows.map(([first = '', ...rest]) => [first.replaceAll('`', ''), rest]));
}

test.each(Object.entries(quarantineReasons))('the reason %s is explained', (reason, meaning) => {
  expect(rowsOf('docs/api/mqtt.md').get(reason)).toEqual([meaning]);
});

test.each(Object.entries(errorDecisions))('the error %s is explained', (code, decision) => {
  const { httpStatus, mqttReasonCode, retriable, action } = decision;
  const mqtt = `0x${mqttReasonCode.toString(16).toUpperCase()}`;
  expect(rowsOf('docs/api/http.md').get(code.toLowerCase().replaceAll('_', '-'))).toEqual(
    [httpStatus, mqtt, retriable ? 'yes' : 'no', action].map(String),
  );
});

test('the routes are listed with their scopes, and what is only announced is named', () => {
  const told = [...rowsOf('docs/api/http.md', 'Routes')].filter(([name]) => / \/v1/.test(name));
  const nameOf = ({ method, path }: (typeof routes)[number]): string => `${method} ${path}`;
  const built = routes.filter(({ isBuilt }) => isBuilt !== false);
  expect(told.map(([route, [scope]]) => [route, scope])).toEqual(
    built.map((route) => [nameOf(route), `\`${route.scope}\``]),
  );
  const announced = routes.filter(({ isBuilt }) => isBuilt === false).map(nameOf);
  expect(announced.filter((name) => !read('docs/api/http.md').includes(`\`${name}\``))).toEqual([]);
});

test.each(Object.entries(streams))('the stream %s is described', (name, stream) => {
  const [cleanup, schema] = rowsOf('docs/api/kafka.md', 'Streams').get(name) ?? [];
  const days = 'retentionMs' in stream ? `, ${stream.retentionMs / 86_400_000} d` : '';
  expect(cleanup).toBe(`${stream.cleanup}${days}`);
  expect(schema).toBe(`\`${stream.schema}\``);
});

test.each(Object.entries(rights))('the rights of %s are told', (principal, { reads, writes }) => {
  const [taken, written] = rowsOf('docs/api/kafka.md', 'Rights').get(principal) ?? [];
  expect([wordsIn(taken), wordsIn(written)]).toEqual([reads, writes]);
});

test.each(Object.entries(builtInDeviceTypes))('the device type %s is listed', (name, type) => {
  const [metrics = ''] = rowsOf('docs/api/values.md').get(name) ?? [];
  expect(wordsIn(metrics)).toEqual(Object.keys(type.metrics));
});

/** What stands between backticks. */
function wordsIn(text = ''): readonly string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word);
}

test('the units are listed', () => {
  const [, listed = ''] = /Units: `([^`]+)`/.exec(read('docs/api/values.md')) ?? [];
  expect(listed.split(' ').toSorted()).toEqual(units.toSorted());
});

/** `docs/STYLE.md` names files that a room may have. */
const documents = [
  ...globSync('docs/{adr,api,operations}/**/*.md', { cwd: root }),
  ...globSync('{charts,regions}/**/*.md', { cwd: root }),
  'docs/ARCHITECTURE.md',
  'docs/BENCHMARKS.md',
  'README.md',
];

test.each(documents)('what %s points at is there', (file) => {
  const text = read(file);
  const links = [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, to = '']) =>
    join(dirname(file), to),
  );
  const inRepository =
    /^(?:platform|operators|integrity|gateway-agent|charts|regions|docs|benchmarks|examples)\/[\w./-]+$/;
  const paths = wordsIn(text).filter((word) => inRepository.test(word));
  expect([...links, ...paths].filter((path) => !existsSync(join(root, path)))).toEqual([]);
});

test('the architecture can be read in one sitting', () => {
  expect(read('docs/ARCHITECTURE.md').split('\n').length).toBeLessThan(400);
});

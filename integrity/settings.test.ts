import { globSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { z } from 'zod';

// `docs/operations/settings.md` is made of the schemas: `npx vitest run --project integrity integrity/settings.test.ts -u`, in this order.

const root = join(import.meta.dirname, '..');
/** By what is there and not by a list, so that none is forgotten. */
const files = globSync('{platform/*,gateway-agent,operators}/src/**/config.ts', {
  cwd: root,
}).toSorted();

/** Their schemas are not exported, or they are spread into those of others. */
const unexported = ['platform/kafka/src/config.ts', 'platform/web/src/config.ts'];

const settingsSchema = z.object({
  properties: z.record(
    z.string(),
    z.looseObject({ description: z.string().default(''), default: z.unknown().optional() }),
  ),
  required: z.array(z.string()).default([]),
});

/** The settings schemas that a `config.ts` exports, by their names. */
async function schemasOf(file: string): Promise<ReadonlyMap<string, z.ZodObject>> {
  const module: Record<string, unknown> = await import(pathToFileURL(join(root, file)).href);
  return new Map(
    Object.entries(module).filter((entry): entry is [string, z.ZodObject] => {
      return entry[1] instanceof z.ZodObject;
    }),
  );
}

interface Setting {
  readonly name: string;
  /** What holds if it is not set; `required` if it must be. */
  readonly unset: string;
  readonly meaning: string;
}

function settingsOf(schema: z.ZodObject): Setting[] {
  return settingsWithin(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }), '');
}

/** Parts of a file are named with dots. */
function settingsWithin(json: unknown, prefix: string): Setting[] {
  const { properties, required } = settingsSchema.parse(json);
  return Object.entries(properties).flatMap(([key, property]) => {
    const { description: meaning, default: standard } = property;
    const name = `${prefix}${key}`;
    if ('properties' in property) return settingsWithin(property, `${name}.`);
    const text = typeof standard === 'string' ? standard : JSON.stringify(standard);
    if (standard === tmpdir()) return [{ name, unset: 'a temporary folder', meaning }];
    const unset = standard === undefined ? '' : `\`${text}\``;
    return [{ name, unset: required.includes(key) ? 'required' : unset, meaning }];
  });
}

/** Columns as wide as the formatter makes them. */
function tableOf(settings: readonly Setting[]): string {
  const rows = settings.map(({ name, unset, meaning }) => [
    `\`${name}\``,
    unset,
    meaning.replaceAll('|', '\\|'),
  ]);
  const heads = ['Name', 'Unless set', 'Meaning'];
  const widths = heads.map((head, column) =>
    Math.max(...[head, ...rows.map((row) => row[column] ?? '')].map((cell) => cell.length)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [line(heads), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join(
    '\n',
  );
}

function titleOf(file: string, name: string): string {
  const place = file.replace(/^platform\//, '').replace(/\/config\.ts$/, '');
  return `${place.replace('/src', '')}: ${name.replace(/(?:Settings|Schema)$/, '')}`;
}

test('what is left out of the reference is known', async () => {
  const schemas = await Promise.all(files.map(schemasOf));
  expect(files.filter((_, index) => schemas[index]?.size === 0)).toEqual(unexported);
});

test('every setting is described', async () => {
  const settings = (await Promise.all(files.map(schemasOf)))
    .flatMap((schemas) => [...schemas.values()])
    .flatMap(settingsOf);
  expect(settings.filter(({ meaning }) => meaning === '')).toEqual([]);
});

test('the reference of settings is what the schemas say', async () => {
  const sections: string[] = [];
  for (const file of files)
    for (const [name, schema] of await schemasOf(file))
      sections.push(`## ${titleOf(file, name)}`, `\`${file}\``, tableOf(settingsOf(schema)));
  const text = `# Settings

Every process reads its settings from the environment; it tells all faults at once, and then starts nothing.
A gateway agent also reads a file, whose parts have dots in their names here; what is required of a part is required if that part is there.
This page is made of the schemas in every \`config.ts\`.

${sections.join('\n\n')}
`;
  await expect(text).toMatchFileSnapshot(join(root, 'docs/operations/settings.md'));
});

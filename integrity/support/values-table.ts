import { z } from 'zod';

const node = z.looseObject({
  $ref: z.string().optional(),
  description: z.string().optional(),
  default: z.unknown().optional(),
  required: z.array(z.string()).optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  additionalProperties: z.unknown().optional(),
  definitions: z.record(z.string(), z.unknown()).optional(),
});

type Node = z.output<typeof node>;

export interface Value {
  readonly path: string;
  /** What holds if it is not said, as JSON; `required`; empty if nothing holds. */
  readonly unset: string;
  readonly meaning: string;
}

/** Every value that the schema of a chart knows; entries of maps are named `{…}`. `defaults` is its values.yaml, parsed. */
export function valuesOf(schema: unknown, defaults: unknown): Value[] {
  const root = node.parse(schema);
  return within(root, { root, path: '', defaults });
}

interface Place {
  readonly root: Node;
  readonly path: string;
  readonly defaults: unknown;
}

function within(of: Node, { root, path, defaults }: Place): Value[] {
  const named = Object.entries(of.properties ?? {}).map(([name, value]) => ({
    path: path === '' ? name : `${path}.${name}`,
    of: resolved(value, root),
    isRequired: of.required?.includes(name) === true,
    said: fieldOf(defaults, name),
  }));
  const map = node.safeParse(of.additionalProperties);
  const entry = { path: `${path}.{…}`, isRequired: false, said: undefined };
  const ofMap = map.success ? resolved(map.data, root) : undefined;
  const isPlain = ofMap?.description === undefined && ofMap?.properties === undefined;
  const all = ofMap === undefined || isPlain ? named : [...named, { ...entry, of: ofMap }];
  return all.flatMap(({ path: at, of: value, isRequired, said }) => {
    const below = within(value, { root, path: at, defaults: said });
    if (below.length > 0 && value.description === undefined) return below;
    const preset = said ?? value.default;
    const unset =
      preset === undefined || (below.length > 0 && !isEmpty(preset)) ? '' : JSON.stringify(preset);
    const row = {
      path: at,
      unset: isRequired && unset === '' ? 'required' : unset && `\`${unset}\``,
      meaning: value.description ?? '',
    };
    return [row, ...below];
  });
}

function resolved(value: unknown, root: Node): Node {
  const read = node.parse(value);
  if (read.$ref === undefined) return read;
  const name = read.$ref.replace('#/definitions/', '');
  const { $ref: _, ...own } = read;
  return { ...resolved(root.definitions?.[name], root), ...own };
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && name in value
    ? z.record(z.string(), z.unknown()).parse(value)[name]
    : undefined;
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

/** A table in Markdown, its columns as wide as the formatter makes them. */
export function tableOf(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const safe = rows.map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = heads.map((head, column) =>
    Math.max(...[head, ...safe.map((row) => row[column] ?? '')].map((cell) => cell.length)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [line(heads), line(widths.map((width) => '-'.repeat(width))), ...safe.map(line)].join(
    '\n',
  );
}

import { PlatformError } from '@domicile/core/errors.ts';
import { type Document, LineCounter, isMap, isNode, isScalar, parseDocument } from 'yaml';
import { z } from 'zod';
import { type ConfigFault, configFaults } from '../model/config-faults.ts';

/** What is wrong in a configuration file, and where; lines and columns count from 1. */
export interface PlacedFault {
  readonly line: number;
  readonly column: number;
  /** As `uplink.url`; empty for the file as a whole. */
  readonly path: string;
  readonly detail: string;
}

export interface FileText {
  readonly text: string;
  /** As a person calls it; stands before each fault. */
  readonly name: string;
}

/**
 * Reads YAML (or JSON, which is YAML) by a schema; `check` finds what a schema cannot say. Throws `CONFIG_INVALID` with every
 * fault at once: in the message a line for each as `gateway.yaml:3:5: uplink.url: …`, in `details.faults` the `PlacedFault`s.
 */
export function readFileBy<Schema extends z.ZodType>(
  schema: Schema,
  { text, name }: FileText,
  check: (value: z.output<Schema>) => readonly ConfigFault[] = () => [],
): z.output<Schema> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0)
    throw refusal(
      name,
      document.errors.map(({ message, pos }) => placed(lines, pos[0], '', message)),
    );
  const value: unknown = document.toJS();
  const result = schema.safeParse(value);
  const faults = result.success
    ? check(result.data)
    : configFaults(result.error.issues, value, jsonSchemaOf(schema));
  if (result.success && faults.length === 0) return result.data;
  const found = faults
    .map((fault) =>
      placed(lines, offsetOf(document, fault), fault.path.join('.'), textOf(fault, value)),
    )
    .toSorted((left, right) => left.line - right.line || left.column - right.column);
  throw refusal(name, found);
}

/** The JSON schema of what may stand in the file. */
export function jsonSchemaOf(schema: z.ZodType): Record<string, unknown> {
  return { ...z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) };
}

function textOf({ path, detail }: ConfigFault, value: unknown): string {
  const isEmpty = path.length === 0 && (value === null || value === undefined);
  return isEmpty ? `the file is empty; ${detail}` : detail;
}

function placed(lines: LineCounter, offset: number, path: string, detail: string): PlacedFault {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(1, line), column: Math.max(1, col), path, detail };
}

function refusal(name: string, faults: readonly PlacedFault[]): PlatformError {
  const told = faults.map(
    ({ line, column, path, detail }) =>
      `  ${name}:${line}:${column}: ${path === '' ? detail : `${path}: ${detail}`}`,
  );
  const count = faults.length === 1 ? 'one fault' : `${faults.length} faults`;
  return new PlatformError(
    'CONFIG_INVALID',
    `Cannot read settings: ${count} in ${name}\n${told.join('\n')}`,
    { details: { faults } },
  );
}

/** Where in the text: the key, the value, or for what is not there the key of the part that lacks it. */
function offsetOf(document: Document, { path, where }: ConfigFault): number {
  if (where === 'parent') return path.length < 2 ? 0 : keyOffset(document, path.slice(0, -1));
  if (where === 'key') return keyOffset(document, path);
  const node: unknown = document.getIn(path, true);
  return (isNode(node) ? node.range?.[0] : undefined) ?? keyOffset(document, path);
}

function keyOffset(document: Document, path: readonly (string | number)[]): number {
  const holder: unknown =
    path.length > 1 ? document.getIn(path.slice(0, -1), true) : document.contents;
  if (isMap(holder)) {
    const pair = holder.items.find(
      ({ key }) => isScalar(key) && String(key.value) === String(path.at(-1)),
    );
    if (isNode(pair?.key)) return pair.key.range?.[0] ?? 0;
  }
  const node: unknown = document.getIn(path, true);
  return isNode(node) ? (node.range?.[0] ?? 0) : 0;
}

import type { Fault } from '@domicile/core/errors.ts';
import { z } from 'zod';
import { alikeTold } from './alike.ts';

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

/** What is wrong with the shape of a value: in words of a values file, every fault at once. */
export interface ShapeFault extends Fault {
  /** What is in the way, so that the rest can be looked at without it. */
  readonly path: Path;
  /** No other value may stand there: the name itself is wrong. */
  readonly isName: boolean;
}

/** Against `schema`; pointers are JSON pointers into `value`. */
export function shapeFaults(schema: z.ZodType, value: unknown): ShapeFault[] {
  const parsed = schema.safeParse(value, { reportInput: true });
  return parsed.success ? [] : parsed.error.issues.flatMap((issue) => faultsOf(schema, issue, []));
}

function faultsOf(schema: z.ZodType, issue: Issue, above: Path): ShapeFault[] {
  const path = [...above, ...issue.path];
  const one = (detail: string, isName = false): ShapeFault[] => [
    { path, pointer: pointerOf(path), detail, isName },
  ];
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => {
      const at = [...path, key];
      const detail = `is no field here${alikeTold(key, fieldsAt(schema, path))}`;
      return { path: at, pointer: pointerOf(at), detail, isName: true };
    });
  if (issue.code === 'invalid_key') {
    const [first] = issue.issues;
    return one(`is no name for this: ${first ? wanted(first) : 'expected another'}`, true);
  }
  if (issue.code === 'invalid_union') {
    const branch = branchOf(issue.errors);
    if (branch) return branch.flatMap((inner) => faultsOf(schema, inner, path));
    return one(orGot(unionWanted(issue.errors), issue.input));
  }
  const isMissing = issue.code === 'invalid_type' && issue.input === undefined;
  if (isMissing) return one(`is missing: ${wanted(issue)}`);
  return one(orGot(wanted(issue), issue.input));
}

/** Of the forms that a value may have, the one that was meant: whose outside fits. */
function branchOf(forms: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
  return forms.find((issues) =>
    issues.every(({ code, path }) => path.length > 0 || !outside.has(code)),
  );
}

const outside: ReadonlySet<string | undefined> = new Set(['invalid_type', 'invalid_value']);

function unionWanted(forms: readonly (readonly Issue[])[]): string {
  const issues = forms.flatMap((form) => form.slice(0, 1));
  const values = issues.flatMap((issue) =>
    issue.code === 'invalid_value' ? issue.values.map(String) : [],
  );
  if (values.length === issues.length) return `expected one of ${values.join(', ')}`;
  return issues.map(wanted).join(', or ');
}

const kinds: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a map of fields',
  record: 'a map',
  array: 'a list',
};

/** Of patterns that core gives no words. */
const patterns: Readonly<Record<string, string>> = {
  '/^[A-Z]{2}$/': 'expected two capital letters, as DE',
  '/^[a-z0-9][a-z0-9-]{0,30}$/':
    'expected at most 31 lower-case letters, digits and hyphens, as the end of a device id',
  '/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/':
    'expected at most 63 lower-case letters, digits and hyphens, with a letter or digit at both ends',
  '/^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/':
    'expected the name of a bucket: 3 to 63 lower-case letters, digits, dots, hyphens and underscores',
};

function wanted(issue: Issue): string {
  if (issue.code === 'invalid_type') return `expected ${kinds[issue.expected] ?? issue.expected}`;
  if (issue.code === 'invalid_value')
    return `expected one of ${issue.values.map(String).join(', ')}`;
  if (issue.code === 'too_small')
    return `expected ${issue.inclusive === false ? 'more than' : 'at least'} ${sizeOf(issue, issue.minimum)}`;
  if (issue.code === 'too_big')
    return `expected ${issue.inclusive === false ? 'less than' : 'at most'} ${sizeOf(issue, issue.maximum)}`;
  return issue.code === 'invalid_format' ? formatWanted(issue) : issue.message;
}

function sizeOf({ origin }: { readonly origin: string }, bound: number | bigint): string {
  if (origin === 'string') return `${bound} characters`;
  return origin === 'array' || origin === 'set' || origin === 'map' || origin === 'object'
    ? `${bound} entries`
    : `${bound}`;
}

function formatWanted(issue: Extract<Issue, { code: 'invalid_format' }>): string {
  if (issue.format === 'url') return 'expected a URL, as https://id.example.org';
  const pattern = issue.pattern ?? '';
  // Where core says it itself, that is better.
  if (!issue.message.startsWith('Invalid')) return issue.message;
  return patterns[pattern] ?? `expected what fits ${pattern}`;
}

const shownMax = 60;

function orGot(told: string, input: unknown): string {
  const shown = input === null || typeof input !== 'object' ? JSON.stringify(input) : undefined;
  if (shown === undefined)
    return `${told}, not ${Array.isArray(input) ? 'a list' : input === undefined ? 'nothing' : 'a map'}`;
  return `${told}, not ${shown.length > shownMax ? `${shown.slice(0, shownMax)}…` : shown}`;
}

/** Names of the fields that may stand at a path. */
function fieldsAt(schema: z.ZodType, path: Path): string[] {
  let found: readonly unknown[] = [schema];
  for (const part of path) found = found.flatMap((one) => below(one, part));
  const names = found.flatMap(formsOf).flatMap((one) => Object.keys(one.shape ?? {}));
  return [...new Set(names)];
}

interface Form {
  readonly shape?: Readonly<Record<string, unknown>>;
  /** Of a map or a list. */
  readonly each?: unknown;
}

function below(schema: unknown, part: PropertyKey): unknown[] {
  return formsOf(schema).flatMap(({ shape, each }) => {
    const field = shape?.[String(part)] ?? each;
    return field === undefined ? [] : [field];
  });
}

/** What stands behind defaults, checks and choices. */
function formsOf(schema: unknown): Form[] {
  if (schema instanceof z.ZodObject) return [{ shape: schema.shape }];
  if (schema instanceof z.ZodRecord) return [{ each: schema.valueType }];
  if (schema instanceof z.ZodArray) return [{ each: schema.element }];
  if (schema instanceof z.ZodUnion) return schema.options.flatMap(formsOf);
  if (schema instanceof z.ZodPipe) return formsOf(schema.in);
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodNullable
  )
    return formsOf(schema.unwrap());
  return [];
}

export function pointerOf(path: Path): string {
  return path
    .map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`)
    .join('');
}

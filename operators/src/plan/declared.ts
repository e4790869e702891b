import { type Fault, PlatformError } from '@domicile/core/errors.ts';
import { resourceGroup } from '@domicile/core/resources/cell.ts';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';

/** What a file declares, not yet looked at. */
export type Declared =
  | {
      readonly kind: 'cell';
      readonly source: string;
      readonly name?: string;
      readonly spec: unknown;
      /** A value of the chart is a field of the spec. */
      readonly isValues: boolean;
    }
  | { readonly kind: 'building'; readonly source: string; readonly building: BuildingResource }
  | { readonly kind: 'buildings'; readonly source: string; readonly values: BuildingsFile };

export interface BuildingResource {
  readonly name: string;
  readonly namespace: string | undefined;
  readonly spec: unknown;
}

/** Values of the chart domicile-buildings, each building apart: one that is wrong hides no other. */
export interface BuildingsFile {
  readonly country: unknown;
  readonly shared: Readonly<Record<string, unknown>>;
  readonly buildings: Readonly<Record<string, unknown>>;
}

const fields = z.record(z.string(), z.unknown());
const resource = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }).optional(),
  spec: z.unknown().optional(),
  items: z.array(z.unknown()).optional(),
});

/**
 * Reads values of the charts domicile-cell and domicile-buildings, and manifests such as `helm template` prints, of which it takes
 * the resources of this project. Throws `VALUE_INVALID` for what is neither.
 */
export function readDeclared(text: string, source: string): Declared[] {
  const documents = [...parseAllDocuments(text, { version: '1.1' })];
  const errors = documents.flatMap((document) => document.errors);
  if (errors.length > 0)
    throw unreadable(source, ...errors.map(({ message }) => message.split('\n')[0] ?? 'no YAML'));
  return documents.flatMap((document) => {
    const value: unknown = document.toJS();
    return value === null ? [] : declaredIn(value, source);
  });
}

function declaredIn(value: unknown, source: string): Declared[] {
  const read = resource.safeParse(value);
  if (read.success) return ofResource(read.data, source);
  const values = fields.safeParse(value);
  if (!values.success) throw unreadable(source, 'expected values of a chart, or manifests');
  if ('kafka' in values.data || 'lake' in values.data || 'api' in values.data)
    return [ofCellValues(values.data, source)];
  if ('buildings' in values.data || 'roomTypes' in values.data || 'deviceTypes' in values.data)
    return [ofBuildingsValues(values.data, source)];
  throw unreadable(
    source,
    'expected values of domicile-cell (country, regions, kafka, lake, api) or of domicile-buildings (buildings), or manifests',
  );
}

function ofResource(
  { apiVersion, kind, metadata, spec, items }: z.output<typeof resource>,
  source: string,
): Declared[] {
  if (kind === 'List') return (items ?? []).flatMap((item) => declaredIn(item, source));
  if (!apiVersion.startsWith(`${resourceGroup}/`) || metadata === undefined) return [];
  const { name, namespace } = metadata;
  if (kind === 'Cell') return [{ kind: 'cell', source, name, spec, isValues: false }];
  if (kind === 'Building')
    return [{ kind: 'building', source, building: { name, namespace, spec } }];
  return [];
}

/** The chart's own value is the name; all others are the spec. */
function ofCellValues(values: Readonly<Record<string, unknown>>, source: string): Declared {
  const { name, ...spec } = values;
  const named = typeof name === 'string' && name !== '' ? { name } : {};
  return { kind: 'cell', source, ...named, spec, isValues: true };
}

function ofBuildingsValues(values: Readonly<Record<string, unknown>>, source: string): Declared {
  const { buildings, country, helmTest: _, ...shared } = values;
  const all = fields.safeParse(buildings ?? {});
  if (!all.success) throw unreadable(source, 'buildings: expected a map of buildings by their ids');
  return { kind: 'buildings', source, values: { country, shared, buildings: all.data } };
}

function unreadable(source: string, ...details: readonly string[]): PlatformError {
  const faults: Fault[] = details.map((detail) => ({ pointer: '', detail }));
  const told = details.join('; ');
  return new PlatformError('VALUE_INVALID', `Cannot read ${source}: ${told}`, { faults });
}

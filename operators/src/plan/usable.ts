import type { Fault } from '@domicile/core/errors.ts';
import type { z } from 'zod';
import { type ShapeFault, shapeFaults } from './schema-faults.ts';

type Path = readonly PropertyKey[];
type Fields = Record<PropertyKey, unknown>;

/** Each round takes something out, and what it uncovers is taken out by the next one. */
const roundsMax = 20;

/**
 * The value without what is wrong with its shape, so that the rest can be judged; undefined if nothing can be made of it.
 * `standIn` gives what may stand where something has to, undefined: what holds it goes.
 */
export function usableOf(
  schema: z.ZodType,
  value: unknown,
  standIn: (path: Path) => unknown,
): unknown {
  const usable = structuredClone(value);
  for (let round = 0; round < roundsMax; round += 1) {
    const faults = shapeFaults(schema, usable);
    if (faults.length === 0) return usable;
    for (const { path, isName } of faults) take(usable, path, isName ? nothing : standIn);
  }
  return undefined;
}

/** Faults of the value itself, without those that only repeat what is wrong with its shape. */
export function withoutEchoes(
  faults: readonly Fault[],
  shape: readonly Pick<ShapeFault, 'pointer'>[],
): Fault[] {
  return faults.filter(
    ({ pointer }) =>
      !shape.some((one) => pointer.startsWith(`${one.pointer}/`) || pointer === one.pointer),
  );
}

const nothing = (): undefined => undefined;

function take(value: unknown, path: Path, standIn: (path: Path) => unknown): void {
  const [last] = path.slice(-1);
  const holder = path.slice(0, -1).reduce<unknown>(at, value);
  if (last === undefined || !isFields(holder)) return;
  const other = standIn(path);
  if (other !== undefined) holder[last] = other;
  else if (Array.isArray(holder)) holder.splice(Number(last), 1);
  else if (Object.hasOwn(holder, last)) delete holder[last];
  // It is missing, and nothing may stand for it.
  else take(value, path.slice(0, -1), standIn);
}

function at(value: unknown, part: PropertyKey): unknown {
  return isFields(value) ? value[part] : undefined;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}

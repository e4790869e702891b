import { z } from 'zod';
import type { KubeObject } from '../../runtime/kube.ts';

/** `status.devices` of a Building. */
export interface DevicesTold {
  readonly expected: number;
  /** Of which a reading came within the last hour; absent while nobody has told. */
  readonly seen?: number;
  /** For people: `98/100`, `?/100`. */
  readonly text: string;
}

/** `seen` may be of another number of devices than are expected by now. */
export function devicesTold(expected: number, seen: number | undefined): DevicesTold {
  if (seen === undefined) return { expected, text: `?/${expected}` };
  const bounded = Math.min(seen, expected);
  return { expected, seen: bounded, text: `${bounded}/${expected}` };
}

const count = z.number().int().min(0);
const statusSchema = z.object({
  devices: z.object({ expected: count, seen: count.optional(), text: z.string().default('') }),
  conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]),
});

/** The one that the registry knows: another resource of that name has no part in what its gateways send. */
function isRegistered({ status }: KubeObject): boolean {
  const { conditions = [] } = statusSchema.safeParse(status).data ?? {};
  return conditions.some((one) => one.type === 'Registered' && one.status === 'True');
}

/** Undefined if its status tells none. */
export function devicesIn({ status }: KubeObject): DevicesTold | undefined {
  const { devices } = statusSchema.safeParse(status).data ?? {};
  if (!devices) return undefined;
  const { expected, seen, text } = devices;
  return { expected, text, ...(seen !== undefined && { seen }) };
}

export interface SeenChange {
  readonly object: KubeObject;
  readonly devices: DevicesTold;
}

/**
 * What the status of which Buildings has to say now, whoever was written longest ago first. A building that was written less
 * than `everyMs` ago waits; one that nobody has counted stays as it is.
 */
export function seenChanges(
  buildings: readonly KubeObject[],
  counted: ReadonlyMap<string, number>,
  of: {
    /** When each was written last, by uid. */
    readonly writtenAtMs: ReadonlyMap<string, number>;
    readonly nowMs: number;
    readonly everyMs: number;
    readonly changesMax: number;
  },
): SeenChange[] {
  const { writtenAtMs, nowMs, everyMs, changesMax } = of;
  const writtenAt = ({ metadata }: KubeObject) =>
    writtenAtMs.get(metadata.uid ?? '') ?? Number.NEGATIVE_INFINITY;
  return buildings
    .flatMap((object): SeenChange[] => {
      const { name, deletionTimestamp } = object.metadata;
      const told = devicesIn(object);
      const seen = counted.get(name);
      if (!told || seen === undefined || deletionTimestamp !== undefined) return [];
      if (!isRegistered(object)) return [];
      const devices = devicesTold(told.expected, seen);
      const isSame = devices.seen === told.seen && devices.text === told.text;
      return isSame || nowMs - writtenAt(object) < everyMs ? [] : [{ object, devices }];
    })
    .toSorted((a, b) => (writtenAt(a.object) < writtenAt(b.object) ? -1 : 1))
    .slice(0, changesMax);
}

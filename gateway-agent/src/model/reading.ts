import { isBootId } from '@domicile/core/identities.ts';
import { parseTime } from '@domicile/core/telemetry.ts';
import { type Untimed, earliestMs } from './gateway-clock.ts';

/** A reading on its way into the store: what is kept of it, and whose numbering it has. */
export type PreparedReading =
  | (Timing & { readonly kind: 'own'; readonly text: string })
  | (Timing & {
      readonly kind: 'passed';
      readonly text: string;
      readonly boot: string;
      readonly seq: number;
    })
  | { readonly kind: 'opaque'; readonly bytes: Uint8Array };

interface Timing {
  /** It has no time yet; it came then. */
  readonly untimed?: Untimed;
  /** How far the device's clock was off, ms; only if too far: its time is kept as `deviceAt`. */
  readonly offMs?: number;
}

/** A device's clock is believed up to here. */
export const clockOffMsMax = 120_000;

export interface Arrival {
  /** By the agent's clock, or since when, if that is not known. */
  readonly at: number | Untimed;
  /** Believe `at` however old it is: replays of recordings, and devices that have a store themselves. */
  readonly trustTime: boolean;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Cuts a payload into its readings. What cannot be read as a reading is kept as it came, since only the cell may
 * quarantine: never an error, never a loss.
 */
export function prepareReadings(payload: Uint8Array, arrival: Arrival): PreparedReading[] {
  const parsed = parseJson(payload);
  if (parsed === undefined) return [{ kind: 'opaque', bytes: payload }];
  const { json, text } = parsed;
  if (!Array.isArray(json)) return [prepareReading(json, arrival, text)];
  if (json.length === 0) return [{ kind: 'opaque', bytes: payload }];
  return json.map((element: unknown) => prepareReading(element, arrival));
}

function parseJson(payload: Uint8Array): { json: unknown; text: string } | undefined {
  try {
    const text = decoder.decode(payload);
    return { json: JSON.parse(text), text };
  } catch {
    return undefined;
  }
}

/** `source` is the text that `element` was read from; numbers of it that no double holds are kept so. */
export function prepareReading(
  element: unknown,
  arrival: Arrival,
  source?: string,
): PreparedReading {
  const whole = source ?? JSON.stringify(element);
  if (!isObject(element)) return { kind: 'opaque', bytes: encoder.encode(whole) };
  const { boot = null, seq = null } = element;
  const { text, ...timing } = stamped({ element, text: whole.trim() }, arrival);
  if (boot === null && seq === null) {
    const isNamed = 'boot' in element || 'seq' in element;
    return { kind: 'own', text: isNamed ? unnumbered(text) : text, ...timing };
  }
  if (typeof boot === 'string' && isBootId(boot) && isNumber(seq))
    return { kind: 'passed', text, boot, seq, ...timing };
  return { kind: 'opaque', bytes: encoder.encode(text) };
}

const encoder = new TextEncoder();

/** The body of a reading that the agent numbers. */
export function numbered(text: string, { boot, seq }: { boot: string; seq: number }): string {
  return withFields(text, `"boot":${JSON.stringify(boot)},"seq":${seq}`);
}

/** A reading that came before the time was known, with the time that it has now. */
export function timed(body: string, atMs: number): string {
  return withFields(body, `"at":"${new Date(atMs).toISOString()}","timeSource":"gateway"`);
}

/** Puts fields before those of an object, which has none of these names. */
function withFields(text: string, fields: string): string {
  const rest = text.slice(1).trimStart();
  return `{${fields}${rest.startsWith('}') ? '' : ','}${rest}`;
}

function unnumbered(text: string): string {
  const { boot: _boot, seq: _seq, ...rest }: Record<string, unknown> = JSON.parse(text);
  return JSON.stringify(rest);
}

/**
 * The agent's clock stands in for a device without one, and for one that is more than two minutes off; what the
 * device said is kept as `deviceAt`. A time that cannot be read is left for the cell to quarantine.
 */
function stamped(
  { element, text }: { element: Record<string, unknown>; text: string },
  { at: arrivedAt, trustTime }: Arrival,
): Timing & { text: string } {
  const { at = null } = element;
  const isGiven = at !== null;
  const measuredMs = timeOf(at);
  if (isGiven && (measuredMs === undefined || trustTime)) return { text };
  if (typeof arrivedAt !== 'number') {
    // Nobody here can tell a right clock from a wrong one, but for one that was never set.
    if (isGiven && measuredMs !== undefined && measuredMs >= earliestMs) return { text };
    return { text: withoutTime(element, text), untimed: arrivedAt };
  }
  const now = new Date(arrivedAt).toISOString();
  if (!isGiven)
    return { text: timed('at' in element ? withoutTime(element, text) : text, arrivedAt) };
  const offMs = (measuredMs ?? arrivedAt) - arrivedAt;
  if (Math.abs(offMs) <= clockOffMsMax) return { text };
  const marked = { ...element, at: now, deviceAt: at, timeSource: 'gateway' };
  return { text: JSON.stringify(marked), offMs };
}

function withoutTime(element: Record<string, unknown>, text: string): string {
  if (!('at' in element)) return text;
  const { at, ...rest } = element;
  return JSON.stringify(at === null ? rest : { ...rest, deviceAt: at });
}

function timeOf(at: unknown): number | undefined {
  if (typeof at === 'number') return Math.abs(at) <= 8.64e15 ? at : undefined;
  return typeof at === 'string' ? parseTime(at) : undefined;
}

function isNumber(seq: unknown): seq is number {
  return typeof seq === 'number' && Number.isSafeInteger(seq) && seq >= 0;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

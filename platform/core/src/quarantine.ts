/** Why something was not taken in. Stable: operators filter by it. */
export const quarantineReasons = {
  'account-invalid': 'An account report of a gateway cannot be read.',
  'metric-name-invalid': 'A metric name must match [a-z][a-z0-9_]{0,62}.',
  'not-an-object': 'A reading must be a JSON object.',
  'not-json': 'The payload is not JSON.',
  'not-utf8': 'The payload is not UTF-8.',
  'numbering-invalid':
    '`boot` and `seq` must come together: text of at most 40 characters, and an integer from 0.',
  'out-of-range': 'The value lies outside the range of its device type.',
  'payload-empty': 'The payload holds no reading.',
  'sequence-reused': 'The number was used before, for another time.',
  'time-ahead': 'The time lies more than 5 minutes ahead of the receipt.',
  'time-invalid': '`at` must be an RFC 3339 time with offset, or milliseconds since 1970.',
  'time-too-old': 'The time lies more than 400 days back.',
  'too-many-readings': 'An array may hold 1,000 readings.',
  'too-old-to-deduplicate':
    'It is numbered and lies more than 40 days back: too old to tell whether it came before.',
  'unknown-building': 'The building is not declared, or no longer served.',
  'unknown-device': 'The building has no such device.',
  'unknown-metric': 'The device type has no such metric.',
  'value-not-finite': 'A number must be finite.',
  'value-too-long': 'Text may have 256 characters.',
  'value-type-invalid': 'The value is of another kind than its metric.',
  'values-missing': '`values` must be an object with at least one metric.',
} as const;

export type QuarantineReason = keyof typeof quarantineReasons;

/** A record of the `quarantine` stream: what was acked and not taken in, and where it stands. */
export interface QuarantineEntry {
  readonly building: string;
  readonly device: string;
  /** `telemetry` or `backfill`, with partition and offset of the record as received. */
  readonly stream: string;
  readonly partition: number;
  readonly offset: number;
  /** RFC 6901: the value, else the array element, else the payload (empty). */
  readonly pointer: string;
  readonly reason: QuarantineReason;
  readonly detail: string;
  readonly boot: string | null;
  readonly seq: number | null;
  readonly receivedAtMs: number;
  /** The unit that was not taken in, as it came, in base64. */
  readonly bytes: string;
}

/**
 * Keys of the log of sessions. The parts are parted by NUL, which no MQTT string holds. What is of one session stands in one
 * partition: that of the session's key.
 */
const separator = '\0';

/** Of a session, beside its claims; one of each for an epoch. */
export type EpochRecordKind = 'state' | 'progress' | 'released';

export type SessionLogKey =
  | { readonly of: 'replica'; readonly replica: string }
  | { readonly of: 'group'; readonly name: string }
  | { readonly of: 'claim'; readonly session: string; readonly claimId: string }
  | { readonly of: EpochRecordKind; readonly session: string; readonly epoch: bigint }
  | {
      readonly of: 'received';
      readonly session: string;
      readonly epoch: bigint;
      readonly packetId: number;
    };

export function textOf(key: SessionLogKey): string {
  if (key.of === 'replica') return ['r', key.replica].join(separator);
  if (key.of === 'group') return ['g', key.name].join(separator);
  const parts = ['s', key.session, key.of];
  if (key.of === 'claim') return [...parts, key.claimId].join(separator);
  const ofEpoch = [...parts, `${key.epoch}`];
  return (key.of === 'received' ? [...ofEpoch, `${key.packetId}`] : ofEpoch).join(separator);
}

/** What decides on the partition. */
export function placeOf(key: SessionLogKey): string {
  if (key.of === 'replica') return 'replicas';
  return key.of === 'group' ? key.name : key.session;
}

/** Undefined: of a later version of the broker, or of nobody. */
export function parseKey(text: string): SessionLogKey | undefined {
  const [scope, ...parts] = text.split(separator);
  const [first = ''] = parts;
  if (scope === 'r' && parts.length === 1) return { of: 'replica', replica: first };
  if (scope === 'g') return { of: 'group', name: parts.join(separator) };
  return scope === 's' ? ofSession(parts) : undefined;
}

function ofSession(parts: readonly string[]): SessionLogKey | undefined {
  const [session = '', of, name = '', id = ''] = parts;
  if (of === 'claim' && parts.length === 3) return { of, session, claimId: name };
  if (!/^\d{1,19}$/.test(name)) return undefined;
  const epoch = BigInt(name);
  if (of === 'received' && parts.length === 4 && /^\d{1,5}$/.test(id)) {
    return { of, session, epoch, packetId: Number(id) };
  }
  const isOfEpoch = of === 'state' || of === 'progress' || of === 'released';
  return isOfEpoch && parts.length === 3 ? { of, session, epoch } : undefined;
}

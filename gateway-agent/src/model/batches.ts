/** What one message may hold (docs/api/mqtt.md allows 1,000 readings; a packet 256 KiB). */
export const readingsPerMessageMax = 1000;
export const messageBytesMax = 200_000;
/** A longer one would not fit into a message once it is numbered. */
export const readingBytesMax = messageBytesMax - 500;

export interface Sendable {
  readonly index: number;
  readonly kind: string;
  readonly device: string;
  readonly body: Buffer;
}

export interface Message {
  readonly device: string;
  readonly payload: Buffer;
  /** Where its readings stand in the store. */
  readonly indices: readonly number[];
}

/**
 * Puts readings of a backlog into messages of one device each, each device's in their order. What could not be read
 * as a reading goes alone: inside an array it would spoil the others.
 */
export function messagesOf(records: readonly Sendable[], bytesMax = messageBytesMax): Message[] {
  const messages: Message[] = [];
  const open = new Map<string, { records: Sendable[]; bytes: number }>();
  const close = (device: string) => {
    const batch = open.get(device);
    if (batch) messages.push(messageOf(device, batch.records));
    open.delete(device);
  };
  for (const record of records) {
    const batch = open.get(record.device) ?? { records: [], bytes: 2 };
    const isFull =
      batch.records.length >= readingsPerMessageMax ||
      batch.bytes + record.body.length + 1 > bytesMax;
    if (record.kind === 'opaque' || isFull) close(record.device);
    if (record.kind === 'opaque') {
      messages.push(messageOf(record.device, [record]));
    } else if (isFull || !open.has(record.device)) {
      open.set(record.device, { records: [record], bytes: 2 + record.body.length });
    } else {
      batch.records.push(record);
      batch.bytes += record.body.length + 1;
    }
  }
  for (const device of open.keys()) close(device);
  return messages;
}

const [opening, comma, closing] = [Buffer.from('['), Buffer.from(','), Buffer.from(']')];

function messageOf(device: string, records: readonly Sendable[]): Message {
  const indices = records.map(({ index }) => index);
  const [only] = records;
  if (only && records.length === 1) return { device, payload: only.body, indices };
  const parts = records.flatMap(({ body }, place) => [place === 0 ? opening : comma, body]);
  const payload = Buffer.concat([...parts, closing]);
  return { device, payload, indices };
}

import { commandStatePayload, type CommandStateRecord } from '@domicile/core/command.ts';
import { deviceStatusPayload, type DeviceStatusRecord } from '@domicile/core/device-status.ts';
import type { BuildingId } from '@domicile/core/identities.ts';
import { accountReportSchema, type StreamName, streams } from '@domicile/core/streams.ts';
import { parseTime } from '@domicile/core/telemetry.ts';
import { parseTopic, type Topic } from '@domicile/core/topics.ts';

/** What a gateway's message becomes in Kafka. */
export interface Publication {
  readonly stream: StreamName;
  readonly schema: string;
  readonly device: string;
  readonly value: Buffer;
  /** What `value` says, if it is a status. */
  readonly status?: DeviceStatusRecord;
}

/** MQTT 5, section 2.4: why a message is not taken. */
export const refusal = {
  notAuthorized: 0x87,
  topicNameInvalid: 0x90,
  payloadFormatInvalid: 0x99,
} as const;

/** The least that is known of a message. */
export interface Sent {
  readonly topic: string;
  readonly payload: Buffer;
}

/**
 * What a message of a building is to Kafka, or the reason code that refuses it. Readings and accounts pass
 * as they came: judging them is the task's business, which quarantines with a reason. Status and command
 * states are small facts that others act on, so what cannot be read as one is refused.
 */
export function publicationOf(
  { topic, payload }: Sent,
  building: BuildingId,
  receivedAtMs: number,
): Publication | number {
  const read = publishableTopic(topic, building);
  return typeof read === 'number' ? read : publicationTo(read, payload, receivedAtMs);
}

/** A topic to which the building may publish, or the reason code that refuses it. */
export function publishableTopic(text: string, building: BuildingId): Topic | number {
  const topic = parseTopic(text);
  if (!topic) {
    return text.startsWith(`v1/${building}/`) ? refusal.topicNameInvalid : refusal.notAuthorized;
  }
  const isOwn = topic.building === building && topic.kind !== 'command';
  return isOwn ? topic : refusal.notAuthorized;
}

export function publicationTo(
  topic: Topic,
  payload: Buffer,
  receivedAtMs: number,
): Publication | number {
  const { building, device } = topic;
  switch (topic.kind) {
    case 'telemetry':
    case 'backfill':
      return { stream: topic.kind, schema: streams[topic.kind].schema, device, value: payload };
    case 'account':
      return { stream: 'telemetry', schema: accountReportSchema, device, value: payload };
    case 'status':
      return statusOf({ building, device, payload, receivedAtMs });
    case 'command-state':
      return commandStateOf(topic, payload);
    case 'command':
      break;
  }
  return refusal.notAuthorized;
}

function statusOf(of: {
  building: string;
  device: string;
  payload: Buffer;
  receivedAtMs: number;
}): Publication | number {
  const { building, device, payload, receivedAtMs } = of;
  const read = deviceStatusPayload.safeParse(jsonOf(payload));
  const at = read.success ? timeText(read.data.at ?? receivedAtMs) : undefined;
  if (!read.success || at === undefined) return refusal.payloadFormatInvalid;
  const { state } = read.data;
  const record: DeviceStatusRecord = { building, device, state, at, receivedAtMs };
  return { ...publicationIn('device-status', device, record), status: record };
}

function commandStateOf(
  { building, device, command }: Extract<Topic, { kind: 'command' | 'command-state' }>,
  payload: Buffer,
): Publication | number {
  const read = commandStatePayload.safeParse(jsonOf(payload));
  const at = read.success ? timeText(read.data.at) : undefined;
  if (!read.success || at === undefined || read.data.id !== command) {
    return refusal.payloadFormatInvalid;
  }
  const { id, state, reason } = read.data;
  const record: CommandStateRecord = {
    id,
    building,
    device,
    state,
    at,
    ...(reason !== undefined && { reason }),
  };
  return publicationIn('command-states', device, record);
}

function publicationIn(stream: StreamName, device: string, record: unknown): Publication {
  return {
    stream,
    schema: streams[stream].schema,
    device,
    value: Buffer.from(JSON.stringify(record)),
  };
}

function jsonOf(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** RFC 3339 in UTC. */
function timeText(at: string | number): string | undefined {
  const atMs = typeof at === 'string' ? parseTime(at) : at;
  if (atMs === undefined || !(Math.abs(atMs) <= timeMsMax)) return undefined;
  return new Date(atMs).toISOString();
}

/** What ECMAScript's Date can hold. */
const timeMsMax = 8.64e15;

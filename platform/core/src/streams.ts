import type { CountryCode } from './countries.ts';
import { lowerCountry } from './identities.ts';

const dayMs = 86_400_000;

export interface Stream {
  /** What the key is; `building…` go to the partition of the building. */
  readonly key: 'building' | 'building/device' | 'task' | 'mqtt-topic' | 'mqtt-session';
  readonly cleanup: 'delete' | 'compact';
  /** Of `delete`. */
  readonly retentionMs?: number;
  /** The value of the header `schema`. */
  readonly schema: string;
}

/** The streams of a cell (docs/api/kafka.md). All have the same number of partitions, a power of two. */
export const streams = {
  /**
   * As received. Beside readings it carries, told apart by the header `schema`, the account reports of gateways and the
   * ticks by which time moves in a partition without readings.
   */
  telemetry: { key: 'building', cleanup: 'delete', retentionMs: 14 * dayMs, schema: 'telemetry/1' },
  backfill: { key: 'building', cleanup: 'delete', retentionMs: 14 * dayMs, schema: 'backfill/1' },
  readings: { key: 'building', cleanup: 'delete', retentionMs: 14 * dayMs, schema: 'readings/1' },
  quarantine: {
    key: 'building',
    cleanup: 'delete',
    retentionMs: 30 * dayMs,
    schema: 'quarantine/1',
  },
  summaries: { key: 'building', cleanup: 'delete', retentionMs: 14 * dayMs, schema: 'summaries/1' },
  latest: { key: 'building/device', cleanup: 'compact', schema: 'latest/1' },
  alerts: { key: 'building', cleanup: 'delete', retentionMs: 30 * dayMs, schema: 'alerts/1' },
  correlations: {
    key: 'building',
    cleanup: 'delete',
    retentionMs: 30 * dayMs,
    schema: 'correlations/1',
  },
  account: { key: 'building', cleanup: 'delete', retentionMs: 30 * dayMs, schema: 'account/1' },
  commands: { key: 'building', cleanup: 'delete', retentionMs: 30 * dayMs, schema: 'commands/1' },
  'command-states': {
    key: 'building',
    cleanup: 'delete',
    retentionMs: 30 * dayMs,
    schema: 'command-states/1',
  },
  'device-status': {
    key: 'building',
    cleanup: 'delete',
    retentionMs: 30 * dayMs,
    schema: 'device-status/1',
  },
  registry: { key: 'building', cleanup: 'compact', schema: 'registry/1' },
  state: { key: 'task', cleanup: 'compact', schema: 'state/1' },
  journal: { key: 'task', cleanup: 'delete', retentionMs: 14 * dayMs, schema: 'journal/1' },
  /** What clients publish to brokers that take any topic (`topicPolicy: open`). */
  'mqtt-messages': {
    key: 'mqtt-topic',
    cleanup: 'delete',
    retentionMs: 14 * dayMs,
    schema: 'mqtt-messages/1',
  },
  /** The retained message of each topic. */
  'mqtt-retained': { key: 'mqtt-topic', cleanup: 'compact', schema: 'mqtt-retained/1' },
  /** Claims, subscriptions, positions and unfinished exchanges of MQTT sessions, share groups, and signs of life of replicas. */
  'mqtt-sessions': { key: 'mqtt-session', cleanup: 'compact', schema: 'mqtt-sessions/1' },
} as const satisfies Record<string, Stream>;

export type StreamName = keyof typeof streams;

export const streamNames: readonly StreamName[] = Object.keys(streams).filter(isStreamName);

function isStreamName(name: string): name is StreamName {
  return Object.hasOwn(streams, name);
}

/** `{cc}.{stream}.v1`. */
export function topicOf(country: CountryCode, stream: StreamName): string {
  return `${lowerCountry(country)}.${stream}.v1`;
}

/** Names of the headers. Values are UTF-8 text. */
export const headers = {
  schema: 'schema',
  device: 'device',
  client: 'client',
  /** Where in the building's registry partition the record stands by which the broker let the message in. */
  registryOffset: 'registry-offset',
} as const;

/** What else `telemetry` carries. */
export const accountReportSchema = 'account-report/1';
export const tickSchema = 'tick/1';

/** Kafka principals of a cell. */
export type Principal =
  | 'operator'
  | 'broker'
  | 'task'
  | 'lander'
  | 'serving-builder'
  | 'serving'
  | 'raw'
  | 'commands'
  | 'eraser'
  | 'front';

export interface Rights {
  readonly reads: readonly StreamName[];
  readonly writes: readonly StreamName[];
  /** Prefixes of the consumer groups and transactional ids that it may use. */
  readonly groups: readonly string[];
}

/**
 * What each service may do in Kafka; nothing else is granted. `serving` has no way to readings, and `front` none to any
 * stream. `operator` declares buildings; `eraser` takes the newest values of an erased one out and sees that no task's state
 * keeps any.
 */
export const rights: Readonly<Record<Principal, Rights>> = {
  operator: { reads: ['registry', 'device-status'], writes: ['registry'], groups: ['operator'] },
  broker: {
    reads: [
      'registry',
      'telemetry',
      'backfill',
      'commands',
      'command-states',
      'device-status',
      'mqtt-messages',
      'mqtt-retained',
      'mqtt-sessions',
    ],
    writes: [
      'telemetry',
      'backfill',
      'device-status',
      'command-states',
      'mqtt-messages',
      'mqtt-retained',
      'mqtt-sessions',
    ],
    groups: ['broker'],
  },
  task: {
    reads: ['telemetry', 'backfill', 'registry', 'readings', 'state', 'journal'],
    writes: [
      'telemetry',
      'readings',
      'quarantine',
      'summaries',
      'latest',
      'alerts',
      'correlations',
      'account',
      'state',
      'journal',
    ],
    groups: ['task'],
  },
  lander: { reads: ['readings', 'quarantine'], writes: [], groups: ['lander'] },
  'serving-builder': {
    reads: ['summaries', 'latest', 'alerts', 'correlations', 'account', 'registry'],
    writes: [],
    groups: ['serving-builder'],
  },
  serving: {
    reads: [
      'summaries',
      'latest',
      'alerts',
      'correlations',
      'account',
      'registry',
      'device-status',
    ],
    writes: [],
    groups: ['serving'],
  },
  raw: { reads: ['readings', 'quarantine', 'registry', 'summaries'], writes: [], groups: ['raw'] },
  commands: {
    reads: ['commands', 'command-states', 'registry'],
    writes: ['commands', 'command-states'],
    groups: ['commands'],
  },
  eraser: { reads: ['latest', 'state'], writes: ['latest'], groups: [] },
  front: { reads: [], writes: [], groups: [] },
};

/** One thing that a principal may do; nothing else is granted. */
export interface Grant {
  readonly resource: 'topic' | 'group' | 'transactional-id';
  readonly name: string;
  /** The right holds for all names that begin so. */
  readonly isPrefix: boolean;
  readonly operation: 'read' | 'write';
}

/** What the table of rights means in one country's Kafka. */
export function grantsOf(country: CountryCode, principal: Principal): Grant[] {
  const { reads, writes, groups } = rights[principal];
  const topic = (name: StreamName, operation: Grant['operation']): Grant => ({
    resource: 'topic',
    name: topicOf(country, name),
    isPrefix: false,
    operation,
  });
  return [
    ...reads.map((name) => topic(name, 'read')),
    ...writes.map((name) => topic(name, 'write')),
    ...groups.flatMap((name): Grant[] => [
      { resource: 'group', name, isPrefix: true, operation: 'read' },
      { resource: 'transactional-id', name, isPrefix: true, operation: 'write' },
    ]),
  ];
}

/**
 * The topic's settings that are ours; others are left as they are. A record outlives its retention by the span of its segment,
 * and a replaced one in a compacted topic the lag of its compaction, so both are bounded: what is erased is gone by then.
 */
export function topicConfigsOf(stream: StreamName, replicas: number): Record<string, string> {
  const { cleanup, retentionMs }: Stream = streams[stream];
  return {
    'cleanup.policy': cleanup,
    'min.insync.replicas': replicas >= 3 ? '2' : '1',
    ...(retentionMs === undefined
      ? { 'min.cleanable.dirty.ratio': '0.1', 'max.compaction.lag.ms': `${7 * dayMs}` }
      : { 'retention.ms': `${retentionMs}`, 'segment.ms': `${dayMs}` }),
  };
}

export const principals: readonly Principal[] = Object.keys(rights).filter(isPrincipal);

function isPrincipal(name: string): name is Principal {
  return Object.hasOwn(rights, name);
}

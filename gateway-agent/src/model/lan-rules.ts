import { type DeviceId, isDeviceId } from '@domicile/core/identities.ts';
import { parseTime } from '@domicile/core/telemetry.ts';
import { filterMatches } from '@domicile/core/topics.ts';
import type { LanRule } from './lan-rule-schema.ts';
import { localTimeMs } from './local-time.ts';
import { fill, placeIn } from './topic-template.ts';
import { type MetricValue, lineOf, offLine, valueOf } from './value-rule.ts';

/** What a message says by one rule. */
export interface LanWord {
  /** Place of the rule in the settings. */
  readonly rule: number;
  readonly device: DeviceId;
  readonly reading?: {
    readonly at?: string;
    readonly values: Readonly<Record<string, MetricValue>>;
  };
  readonly status?: 'online' | 'offline';
  /** The payload cannot be read at all; it goes up as it is, to be quarantined with its bytes. */
  readonly unreadable?: boolean;
  readonly faults: readonly string[];
}

/** A name in the topic that makes no device id. */
export interface LanStranger {
  readonly rule: number;
  readonly device?: undefined;
  readonly fault: string;
}

export interface LanCommand {
  readonly topic: string;
  readonly payload: string;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
}

/** What devices with topics of their own say, and how they are told something. */
export class LanRules {
  readonly #rules: readonly LanRule[];
  readonly #ids: ReadonlyMap<string, string>;
  readonly #names: ReadonlyMap<string, string>;

  /** `names`: what a device is called in its topics, and what stands for it in its id. */
  constructor(rules: readonly LanRule[], names: Readonly<Record<string, string>> = {}) {
    this.#rules = rules;
    this.#ids = new Map(Object.entries(names));
    this.#names = new Map(Object.entries(names).map(([name, id]) => [id, name]));
  }

  /** Empty if no rule is for the topic. */
  read(topic: string, payload: Uint8Array): (LanWord | LanStranger)[] {
    const levels = topic.split('/');
    const nameAt = (level: number) => levels[level - 1] ?? '';
    return this.#rules.flatMap((rule, index): (LanWord | LanStranger)[] => {
      if (topic.startsWith('$') || !filterMatches(rule.filter, topic)) return [];
      const device = fill(rule.device, (level) => this.#ids.get(nameAt(level)) ?? nameAt(level));
      if (!isDeviceId(device))
        return [{ rule: index, fault: 'its name is no device id: add it to names' }];
      return [{ rule: index, device, ...wordOf(rule, payload) }];
    });
  }

  /** Topics on which a device takes commands; empty if no rule sets anything of it. */
  commandTopics(device: DeviceId): string[] {
    return this.#rules.flatMap((rule) => {
      const name = this.#nameOf(rule, device);
      if (name === undefined) return [];
      return Object.values(rule.commands).map(({ topic }) => fill(topic, () => name));
    });
  }

  /** The message that sets a metric; undefined if no rule does. */
  command(device: DeviceId, metric: string, value: MetricValue): LanCommand | undefined {
    for (const rule of this.#rules) {
      const name = this.#nameOf(rule, device);
      const command = Object.hasOwn(rule.commands, metric) ? rule.commands[metric] : undefined;
      if (name === undefined || !command) continue;
      const told = toldOf(rule, metric, value);
      const payload = command.payload
        .replaceAll('{value}', () => String(told))
        .replaceAll('{json}', () => JSON.stringify(told));
      const { qos, retain } = command;
      return { topic: fill(command.topic, () => name), payload, qos, retain };
    }
    return undefined;
  }

  #nameOf(rule: LanRule, device: DeviceId): string | undefined {
    const id = placeIn(rule.device, device);
    return id === undefined ? undefined : (this.#names.get(id) ?? id);
  }
}

/** As the device tells the value itself, where a rule says how. */
function toldOf({ values }: LanRule, metric: string, value: MetricValue): MetricValue {
  const how = Object.hasOwn(values, metric) ? values[metric] : undefined;
  if (!how) return value;
  if (typeof value === 'number') return offLine(value, lineOf(how));
  if (typeof value !== 'boolean') return value;
  return (value ? how.true?.[0] : how.false?.[0]) ?? value;
}

/** Beyond, no date can be written. */
const timeMsMax = 8.64e15;

type Word = Omit<LanWord, 'rule' | 'device'>;

const decoder = new TextDecoder('utf-8', { fatal: true });

function wordOf(rule: LanRule, payload: Uint8Array): Word {
  const body = bodyOf(payload);
  if (body === undefined) return { unreadable: true, faults: ['the payload is not UTF-8'] };
  const isPlain = Object.values(rule.values).every((one) => one.pointer === '');
  if (!body.isJson && !isPlain) return { unreadable: true, faults: ['the payload is not JSON'] };
  const faults: string[] = [];
  const values: Record<string, MetricValue> = {};
  for (const [metric, { pointer, ...how }] of Object.entries(rule.values)) {
    const told = at(body.told, pointer);
    // A device need not say everything in each message.
    if (told === undefined || told === null) continue;
    const read = valueOf(told, how);
    if ('fault' in read) faults.push(`values.${metric}: ${read.fault}`);
    else values[metric] = read.value;
  }
  const status = statusOf(rule, body.told);
  const measuredMs = timeOf(rule, body.told);
  const isTime = measuredMs !== undefined && Math.abs(measuredMs) <= timeMsMax;
  const hasValues = Object.keys(values).length > 0;
  return {
    faults,
    ...(status && { status }),
    ...(hasValues && {
      reading: {
        ...(isTime && { at: new Date(measuredMs).toISOString() }),
        values,
      },
    }),
  };
}

/** What is no JSON is a plain text. */
function bodyOf(payload: Uint8Array): { told: unknown; isJson: boolean } | undefined {
  let text: string;
  try {
    text = decoder.decode(payload);
  } catch {
    return undefined;
  }
  try {
    return { told: JSON.parse(text), isJson: true };
  } catch {
    return { told: text, isJson: false };
  }
}

/** RFC 6901. */
function at(told: unknown, pointer: string): unknown {
  let found = told;
  for (const part of pointer.split('/').slice(1)) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, key)) return undefined;
    found = Object.entries(found).find(([name]) => name === key)?.[1];
  }
  return found;
}

function statusOf({ status }: LanRule, told: unknown): 'online' | 'offline' | undefined {
  if (!status) return undefined;
  const word = at(told, status.pointer);
  const isOneOf = (all: readonly unknown[]) => all.some((one) => one === word);
  if (isOneOf(status.online)) return 'online';
  return isOneOf(status.offline) ? 'offline' : undefined;
}

function timeOf({ time }: LanRule, told: unknown): number | undefined {
  const word = time && at(told, time.pointer);
  if (!time || word === undefined) return undefined;
  if (typeof word === 'number') return Math.round(time.unit === 's' ? word * 1000 : word);
  if (typeof word !== 'string') return undefined;
  return parseTime(word) ?? (time.zone === undefined ? undefined : localTimeMs(word, time.zone));
}

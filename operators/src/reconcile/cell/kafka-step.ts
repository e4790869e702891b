import { setTimeout as sleep } from 'node:timers/promises';
import { PlatformError } from '@domicile/core/errors.ts';
import type { CellSpec } from '@domicile/core/resources/cell.ts';
import type {
  KafkaAccess,
  KafkaChange,
  KafkaDiff,
  KafkaUser,
  KafkaWish,
} from '@domicile/kafka/cell-diff.ts';
import { type BrokerPlace, brokerBreaches, type Home } from '../../model/residency-guard.ts';
import type { KafkaPort } from './ports.ts';
import { failed, fine, notYet, type Step, stopped } from './step.ts';

export interface KafkaWork {
  readonly spec: CellSpec;
  readonly home: Home;
  readonly users: readonly KafkaUser[];
  readonly access: KafkaAccess;
  readonly open: (access: KafkaAccess) => KafkaPort;
  /** Throws `FENCED` once another operator may lead. */
  readonly mayAct: (doing: string) => void;
  readonly acted: (change: KafkaChange) => void;
  readonly told: (user: KafkaUser) => Promise<void>;
}

export interface KafkaStep extends Step {
  readonly brokers: readonly BrokerPlace[];
}

const type = 'KafkaReady';
const looksMax = 10;
const lookAgainMs = 200;

/** Topics, users, rights and quotas as the cell wants them, unless a broker stands abroad: then nothing is written. */
export async function kafkaStep(work: KafkaWork): Promise<KafkaStep> {
  const { spec, home, users, access, open } = work;
  let brokers: readonly BrokerPlace[] = [];
  try {
    await using kafka = open(access);
    brokers = await placesOf(kafka);
    const breaches = brokerBreaches(home, brokers);
    if (breaches.length > 0) return { ...stopped(type, breaches), brokers };
    const { country } = spec;
    const { partitions, replicas } = spec.kafka;
    const wish = { country, partitions, replicas, users };
    const diff = await kafka.diff(wish);
    const late = await actAll(work, kafka, diff);
    if (late !== undefined) return { ...late, brokers };
    // Kafka has been told all passwords by now.
    const told = { ...wish, users: users.map((user) => ({ ...user, renew: false })) };
    const after = diff.changes.length > 0 ? await takenOver(kafka, told) : diff;
    return { ...verdict(after, brokers), brokers };
  } catch (error) {
    return { ...failed(type, 'Kafka', error), brokers };
  }
}

/** A broker tells what it was told once that has come back to it from the controller. */
async function takenOver(kafka: KafkaPort, wish: KafkaWish): Promise<KafkaDiff> {
  for (let look = 1; ; look += 1) {
    const diff = await kafka.diff(wish);
    if (diff.changes.length === 0 || look === looksMax) return diff;
    await sleep(lookAgainMs);
  }
}

async function placesOf(kafka: KafkaPort): Promise<readonly BrokerPlace[]> {
  const brokers = await kafka.brokers();
  if (brokers.length > 0) return brokers.toSorted((a, b) => a.id - b.id);
  throw new PlatformError('UPSTREAM_UNAVAILABLE', 'Cannot see where Kafka is: it names no broker');
}

/** A new topic is laid onto whatever brokers there are by then, so it is looked where they are once more. */
async function actAll(
  work: KafkaWork,
  kafka: KafkaPort,
  diff: KafkaDiff,
): Promise<Step | undefined> {
  for (const change of diff.changes) {
    if (change.kind === 'topic') {
      const breaches = brokerBreaches(work.home, await placesOf(kafka));
      if (breaches.length > 0) return stopped(type, breaches);
    }
    work.mayAct(`change ${change.kind} of ${change.target}`);
    await change.act();
    work.acted(change);
  }
  // A user that was there and told the same password is remembered, too.
  for (const user of work.users.filter(({ renew }) => renew)) await work.told(user);
  return undefined;
}

function verdict(diff: KafkaDiff, brokers: readonly BrokerPlace[]): Step {
  const ids = new Set(brokers.map(({ id }) => id));
  const away = [
    ...new Set(diff.held.flatMap((one) => one.brokers.filter((id) => !ids.has(id)))),
  ].toSorted((a, b) => a - b);
  const isProved = away.length === 0 && diff.held.length > 0;
  const [refusal] = diff.refusals;
  if (refusal !== undefined) {
    const message = diff.refusals.map(({ target, detail }) => `${target}: ${detail}`).join('; ');
    return { condition: notYet(type, refusal.reason, message), breaches: [], isProved };
  }
  const [change] = diff.changes;
  if (change !== undefined) {
    const message = `Kafka has not taken over yet: ${change.target}: ${change.detail}`;
    return {
      condition: notYet(type, 'ChangesPending', message),
      breaches: [],
      isProved,
      error: new PlatformError('UPSTREAM_UNAVAILABLE', message),
    };
  }
  const topics = new Set(diff.held.map(({ topic }) => topic)).size;
  return {
    condition: fine(
      type,
      diff.strangers.length === 0 ? 'AsDeclared' : 'OthersHaveRights',
      [
        away.length === 0
          ? `${topics} topics on ${brokers.length} brokers`
          : `${topics} topics; brokers ${away.join(', ')} hold some of them and do not answer`,
        ...strangersTold(diff.strangers),
      ].join('; '),
    ),
    breaches: [],
    isProved,
  };
}

const strangersToldMax = 5;

function strangersTold(strangers: readonly string[]): string[] {
  if (strangers.length === 0) return [];
  const told = strangers.slice(0, strangersToldMax).join(', ');
  const more = strangers.length - strangersToldMax;
  const rest = more > 0 ? `, and ${more} more` : '';
  return [`others have rights on them (${told}${rest}): take those back unless you gave them`];
}

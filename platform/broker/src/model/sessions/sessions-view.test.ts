import { expect, test } from 'vitest';
import { textOf } from './session-keys.ts';
import type { ClaimRecord, StateRecord } from './session-records.ts';
import { type KeptSession, type SessionLogRecord, SessionsView } from './sessions-view.ts';

const session = 'de-a/gw';
const connect = {
  clientId: 'gw',
  building: 'de-a',
  protocolVersion: 5 as const,
  expirySeconds: 600,
  willDelaySeconds: 0,
};

/** A log as replicas write it, each knowing only what it wrote or read. */
class Log {
  readonly records: SessionLogRecord[] = [];
  readonly view = new SessionsView();

  append(key: string, value: unknown): bigint {
    const offset = BigInt(this.records.length);
    const bytes = value === undefined ? null : Buffer.from(JSON.stringify(value));
    const record = { key, value: bytes, offset };
    this.records.push(record);
    this.view.fold(record);
    return offset;
  }

  claim(claimId: string, claim: Partial<ClaimRecord> = {}): Owner {
    const key = { of: 'claim', session, claimId } as const;
    const epoch = this.append(textOf(key), { replica: claimId, connect, ...claim });
    return new Owner(this, claimId, epoch, claim.expects !== undefined);
  }

  get session(): KeptSession | undefined {
    return this.view.get(session);
  }
}

class Owner {
  readonly log: Log;
  readonly claimId: string;
  readonly epoch: bigint;
  readonly adopted: boolean;

  constructor(log: Log, claimId: string, epoch: bigint, adopted: boolean) {
    this.log = log;
    this.claimId = claimId;
    this.epoch = epoch;
    this.adopted = adopted;
  }

  state(filter: string): void {
    const { claimId, adopted } = this;
    const record: StateRecord = {
      replica: claimId,
      claimId,
      connect,
      adopted,
      subscriptions: [
        {
          name: filter,
          filter,
          qos: 1,
          noLocal: false,
          retainAsPublished: false,
          retainHandling: 0,
        },
      ],
    };
    this.#append('state', record);
  }

  progress(feed: unknown): void {
    this.#append('progress', { inFlight: [], feed });
  }

  release(): void {
    this.#append('released', {});
  }

  received(packetId: number, value?: unknown): void {
    const { epoch } = this;
    this.log.append(textOf({ of: 'received', session, epoch, packetId }), value);
  }

  /** What an owner removes once it has written its own: all that is not of its epoch. */
  cleanUp(): void {
    for (const key of this.#keys()) if (!this.#isOwn(key)) this.log.append(key, undefined);
  }

  end(): void {
    const claim = textOf({ of: 'claim', session, claimId: this.claimId });
    const isCurrent = this.log.session?.epoch === this.epoch;
    for (const key of this.#keys()) {
      if ((isCurrent || this.#isOwn(key)) && key !== claim) this.log.append(key, undefined);
    }
    this.log.append(claim, undefined);
  }

  #keys(): readonly string[] {
    return [...(this.log.session?.records ?? [])];
  }

  #isOwn(key: string): boolean {
    return key.split('\0').includes(`${this.epoch}`) || key.endsWith(this.claimId);
  }

  #append(of: 'state' | 'progress' | 'released', value: unknown): void {
    this.log.append(textOf({ of, session, epoch: this.epoch }), value);
  }
}

function viewOf(records: readonly SessionLogRecord[]): SessionsView {
  const view = new SessionsView();
  for (const record of records) view.fold(record);
  return view;
}

/** As a log looks after Kafka compacted it up to an offset, tombstones included. */
function compacted(records: readonly SessionLogRecord[], upTo: number): SessionLogRecord[] {
  const last = new Map(records.slice(0, upTo).map((record) => [record.key, record]));
  const kept = records.slice(0, upTo).filter((record) => last.get(record.key) === record);
  return [...kept.filter(({ value }) => value !== null), ...records.slice(upTo)];
}

test('the claim that comes last has the session, and what was before lives on', () => {
  const log = new Log();
  const first = log.claim('a');
  first.state('x');
  first.progress(1);
  const second = log.claim('b');
  expect(log.session).toMatchObject({ epoch: second.epoch, replica: 'b', state: undefined });
  expect(log.session?.before?.progress?.toString()).toContain('"feed":1');
  // The last words of the owner before still count.
  first.progress(2);
  expect([...(log.session?.unreleased ?? [])]).toEqual([[first.epoch, 'a']]);
  first.release();
  expect(log.session?.unreleased.size).toBe(0);
  expect(log.session?.before?.progress?.toString()).toContain('"feed":2');
  second.state('y');
  expect(log.session?.before).toBeUndefined();
  expect(log.session?.state?.toString()).toContain('"y"');
});

test('what an earlier owner writes after the next one has written is stale', () => {
  const log = new Log();
  const first = log.claim('a');
  const second = log.claim('b');
  second.state('y');
  const { view } = log;
  const stale = { key: textOf({ of: 'state', session, epoch: first.epoch }), offset: 9n };
  expect(view.fold({ ...stale, value: Buffer.from('{}') })).toMatchObject({ kind: 'stale' });
  expect(view.get(session)?.state?.toString()).toContain('"y"');
});

test('a clean claim drops what was before', () => {
  const log = new Log();
  log.claim('a').state('x');
  log.claim('b', { clean: true });
  expect(log.session?.before?.dropped).toBe(true);
});

test('a claim that expects another epoch does not count', () => {
  const log = new Log();
  const first = log.claim('a');
  const second = log.claim('b');
  log.claim('c', { expects: `${first.epoch}` });
  expect(log.session).toMatchObject({ epoch: second.epoch, replica: 'b' });
  const fourth = log.claim('d', { expects: `${second.epoch}` });
  expect(log.session).toMatchObject({ epoch: fourth.epoch, replica: 'd', adopted: true });
});

test('packet ids of the owner before go on, and those that it keeps until it lets go', () => {
  const log = new Log();
  const first = log.claim('a');
  first.received(1, {});
  first.received(2, {});
  first.received(1);
  log.claim('b');
  first.received(3, {});
  expect([...(log.session?.before?.received.keys() ?? [])]).toEqual([2, 3]);
});

test('an end of an earlier owner does not end the session', () => {
  const log = new Log();
  const first = log.claim('a');
  const second = log.claim('b');
  first.end();
  expect(log.session).toMatchObject({ epoch: second.epoch });
  second.end();
  expect(log.session).toBeUndefined();
});

/** What owners do, at random and in their order of being: the last may do all, earlier ones go on as if nothing was. */
function history(random: () => number): Log {
  const log = new Log();
  const owners: Owner[] = [];
  const pick = (max: number) => Math.floor(random() * max);
  for (let step = 0; step < 40; step += 1) {
    const current = owners.find(({ epoch }) => epoch === log.session?.epoch);
    const any = owners[pick(owners.length)];
    const action = pick(10);
    if (!current || action === 0)
      owners.push(log.claim(`c${step}`, random() < 0.2 ? { clean: true } : {}));
    else if (action === 1) owners.push(log.claim(`c${step}`, { expects: `${current.epoch}` }));
    else if (action === 2) log.claim(`c${step}`, { expects: `${any?.epoch}x` });
    else if (action < 6) {
      current.state(`s${step}`);
      if (random() < 0.7) current.cleanUp();
    } else if (action === 6) current.progress(step);
    else if (action === 7) any?.progress(-step);
    else if (action === 8) (random() < 0.5 ? any : current)?.release();
    else if (random() < 0.3) current.end();
  }
  return log;
}

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test('a log that was compacted anywhere gives the same sessions', () => {
  for (let round = 0; round < 300; round += 1) {
    const seed = round * 7919 + 1;
    const random = seeded(seed);
    const { records } = history(random);
    const cut = Math.floor(random() * (records.length + 1));
    const whole = viewOf(records).get(session);
    const short = viewOf(compacted(records, cut)).get(session);
    const facts = (of: KeptSession | undefined) =>
      of && [
        of.epoch,
        of.claimId,
        of.state?.toString(),
        of.before?.dropped === true ? null : of.before?.state?.toString(),
      ];
    expect([seed, cut, facts(short)]).toEqual([seed, cut, facts(whole)]);
  }
});

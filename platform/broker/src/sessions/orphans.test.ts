import { expect, test } from 'vitest';
import { ReplicasView } from '../model/sessions/replicas-view.ts';
import { textOf } from '../model/sessions/session-keys.ts';
import type { ConnectFacts, StateRecord } from '../model/sessions/session-records.ts';
import { type KeptSession, SessionsView } from '../model/sessions/sessions-view.ts';
import { Orphans } from './orphans.ts';

const will = {
  topic: 'a',
  payload: '',
  qos: 1 as const,
  retain: false,
  properties: {},
};
const facts: ConnectFacts = {
  clientId: 'c',
  building: 'de-a',
  protocolVersion: 5,
  expirySeconds: 60,
  willDelaySeconds: 0,
};

/** What a replica sees to, at a time that the test gives. */
class Cell implements AsyncDisposable {
  readonly view = new SessionsView();
  readonly replicas = new ReplicasView('b', { missedMax: 1 });
  readonly did: string[] = [];
  readonly held = new Set<string>();
  nowMs = 0;
  adopts = true;
  #offset = 0n;
  readonly orphans: Orphans;

  constructor() {
    const { view, replicas } = this;
    this.orphans = new Orphans({
      view,
      replicas,
      claims: {
        adopt: async (session) => (this.adopts ? session : undefined),
      },
      keeper: {
        holds: (key) => this.held.has(key),
        keep: async ({ key }, { connect }) =>
          this.#did(`keep ${key} ${connect.will ? 'with' : 'without'} will`),
        remove: async ({ key }: KeptSession) => this.#did(`remove ${key}`),
      },
      events: { orphanFailed: () => undefined, orphanEnded: () => undefined },
      publishWill: async ({ key }) => this.#did(`will ${key}`),
      forgetReplica: async (replica) => this.#did(`forget ${replica}`),
      clock: () => this.nowMs,
    });
  }

  claim(key: string, replica: string, connect: Partial<ConnectFacts> = {}): void {
    const claim = { replica, connect: { ...facts, ...connect } };
    this.#fold(textOf({ of: 'claim', session: key, claimId: key }), claim);
  }

  closed(key: string, disconnectedAtMs: number, connect: Partial<ConnectFacts> = {}): void {
    const session = this.view.get(key);
    const { epoch = 0n, replica = '', claimId = '' } = session ?? {};
    const state: StateRecord = {
      replica,
      claimId,
      disconnectedAtMs,
      subscriptions: [],
      connect: {
        ...facts,
        ...connect,
      },
    };
    this.#fold(textOf({ of: 'state', session: key, epoch }), state);
  }

  released(key: string): void {
    const { epoch = 0n } = this.view.get(key) ?? {};
    this.#fold(textOf({ of: 'released', session: key, epoch }), {});
  }

  /** What was done at this time. */
  async at(seconds: number): Promise<string[]> {
    this.nowMs = seconds * 1000;
    this.did.length = 0;
    await this.orphans.sweep();
    return this.did;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.orphans[Symbol.asyncDispose]();
  }

  #did(what: string): void {
    this.did.push(what);
  }

  #fold(key: string, value: unknown): void {
    this.view.fold({ key, value: Buffer.from(JSON.stringify(value)), offset: this.#offset });
    this.#offset += 1n;
  }
}

test('what a dead replica left is touched when it is its time, and not before', async () => {
  await using cell = new Cell();
  cell.replicas.note('a', false);
  cell.claim('plain', 'a');
  cell.claim('willing', 'a', { will, willDelaySeconds: 10 });
  cell.claim('short', 'a', { expirySeconds: 0, will });
  expect(await cell.at(0)).toEqual([]);
  cell.replicas.note('b', false);
  expect(await cell.at(1)).toEqual([]);
  // For a while it may only seem dead.
  expect(await cell.at(4)).toEqual(['will short', 'remove short']);
  cell.held.add('short');
  expect(await cell.at(11)).toContain('will willing');
});

test('a session without a connection ends its time after it, and its will comes no later', async () => {
  await using cell = new Cell();
  cell.claim('gone', 'a');
  cell.closed('gone', 0, { will, willDelaySeconds: 100 });
  expect(await cell.at(1)).toEqual([]);
  expect(await cell.at(59)).toEqual([]);
  expect(await cell.at(60)).toEqual(['will gone', 'remove gone']);
});

test('a will that is published does not end its session', async () => {
  await using cell = new Cell();
  cell.claim('gone', 'a', { will });
  expect(await cell.at(0)).toEqual([]);
  expect(await cell.at(2)).toEqual(['will gone', 'keep gone without will']);
});

test('whose claim did not count leaves it to the other', async () => {
  await using cell = new Cell();
  cell.adopts = false;
  cell.claim('gone', 'a', { will });
  await cell.at(0);
  expect(await cell.at(2)).toEqual([]);
});

test('sessions of the living, and those that are served here, are left alone', async () => {
  await using cell = new Cell();
  cell.replicas.note('c', false);
  cell.claim('theirs', 'c', { will });
  cell.claim('ours', 'b', { will });
  cell.held.add('ours');
  await cell.at(0);
  expect(await cell.at(100)).toEqual([]);
  // Opened here for a client that never came.
  cell.held.clear();
  await cell.at(101);
  expect(await cell.at(103)).toEqual(['will ours', 'keep ours without will']);
});

test('only the first of the living sees to what others left', async () => {
  await using cell = new Cell();
  cell.claim('gone', 'x', { will });
  cell.replicas.note('a', false);
  await cell.at(0);
  expect(await cell.at(10)).toEqual([]);
});

test('what was released waits for nobody', async () => {
  await using cell = new Cell();
  cell.replicas.note('c', false);
  cell.claim('gone', 'c', { expirySeconds: 0 });
  cell.released('gone');
  expect(await cell.at(0)).toEqual(['remove gone']);
});

test('a dead replica is forgotten when nothing is left of it', async () => {
  await using cell = new Cell();
  cell.replicas.note('a', false);
  cell.claim('gone', 'a');
  cell.replicas.note('b', false);
  expect(await cell.at(0)).toEqual([]);
  cell.claim('gone', 'b');
  cell.held.add('gone');
  expect(await cell.at(1)).toEqual(['forget a']);
});

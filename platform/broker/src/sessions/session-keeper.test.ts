import { parseBuildingId } from '@domicile/core/identities.ts';
import type { OutputRecord } from '@domicile/kafka/records.ts';
import type { InboundMessage, OpenRequest, Session } from '@domicile/mqtt/owner.ts';
import { expect, test } from 'vitest';
import type { ClientIdentity } from '../admission/identity.ts';
import { livingOf } from '../model/sessions/kept-state.ts';
import { ReplicasView } from '../model/sessions/replicas-view.ts';
import { type SessionLogKey, textOf } from '../model/sessions/session-keys.ts';
import { SessionsView } from '../model/sessions/sessions-view.ts';
import { Claims } from './claims.ts';
import { SessionKeeper } from './session-keeper.ts';

const key = 'de-a/c';
const building = parseBuildingId('de-a');
const identity: ClientIdentity = { building, gateway: undefined, key: Buffer.from(building) };

const willOf = (text: string): InboundMessage => ({
  topic: 'a',
  payload: Buffer.from(text),
  qos: 1,
  retain: false,
  dup: false,
  packetId: undefined,
  expirySeconds: undefined,
  properties: {},
});

function requestOf(will: string, rest: Partial<OpenRequest<ClientIdentity>> = {}) {
  return {
    key,
    clientId: 'c',
    identity,
    protocolVersion: 5,
    cleanStart: false,
    expirySeconds: 0,
    will: willOf(will),
    willDelaySeconds: 0,
    isHere: false,
    ...rest,
  } as const;
}

/** A session as the MQTT server has it, as far as it is kept. */
function sessionOf(expirySeconds: number): Session<ClientIdentity> {
  return {
    key,
    clientId: 'c',
    identity,
    protocolVersion: 5,
    connected: true,
    expirySeconds,
    subscriptions: new Map(),
    inFlight: 0,
    queued: 0,
    wants: () => false,
    deliver: async () => 'not-subscribed',
    offer: () => false,
    withdraw: () => false,
    state: () => ({ subscriptions: [], receivedIds: [], inFlight: [] }),
    disconnect: () => undefined,
    abandon: () => undefined,
  };
}

/** One replica whose log is folded as soon as something is written. */
class Replica implements Disposable {
  readonly view = new SessionsView();
  readonly wills: string[] = [];
  readonly keeper: SessionKeeper;
  #offset = 0n;

  constructor() {
    const { view } = this;
    const replicas = new ReplicasView('r', { missedMax: 1 });
    const record = (of: SessionLogKey, value?: unknown): OutputRecord => ({
      topic: '',
      key: Buffer.from(textOf(of)),
      ...(value !== undefined && { value: Buffer.from(JSON.stringify(value)) }),
    });
    const log = {
      record,
      tombstone: (_session: string, text: string) => ({ topic: '', key: Buffer.from(text) }),
      write: async (written: OutputRecord) => this.#fold(written),
      writeAll: async (all: readonly OutputRecord[]) => {
        for (const one of all) this.#fold(one);
      },
      readBack: async () => undefined,
      isCommitted: async () => true,
    };
    const fence = async () => undefined;
    const claims = new Claims({ log, view, replicas, handoverTimeoutMs: 0, fence });
    const events = {
      sessionTaken: () => undefined,
      sessionNotOpened: () => undefined,
      sessionGivenUp: () => undefined,
      sessionNotKept: () => undefined,
      transactionFailed: () => undefined,
      orphanFailed: () => undefined,
      orphanEnded: () => undefined,
    };
    this.keeper = new SessionKeeper({
      log,
      view,
      replicas,
      claims,
      keepsReceivedIds: false,
      events,
    });
    this.keeper.publishWill = async (_origin, { payload }) =>
      void this.wills.push(payload.toString());
  }

  #fold({ key: written, value }: OutputRecord) {
    const offset = (this.#offset += 1n);
    const change = this.view.fold({ key: `${written?.toString()}`, value: value ?? null, offset });
    if (change) this.keeper.changed(change);
    return { topic: '', partition: 0, offset };
  }

  /** The will that stands in the log. */
  get keptWill(): string | undefined {
    const session = this.view.get(key);
    const { will } = (session && livingOf(session)?.connect) ?? {};
    return will && Buffer.from(will.payload, 'base64').toString();
  }

  async open(request: OpenRequest<ClientIdentity>, session: Session<ClientIdentity>) {
    const opened = await this.keeper.open(request);
    this.keeper.opened(session);
    return opened;
  }

  [Symbol.dispose](): void {
    this.keeper[Symbol.dispose]();
  }
}

const lost = { clean: false, reasonCode: 0x8e };
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('the will of a connection that ended takes none from the log that the client came back with', async () => {
  using replica = new Replica();
  const { keeper } = replica;
  const session = sessionOf(600);
  await replica.open(requestOf('first', { expirySeconds: 600 }), session);
  const published = Promise.withResolvers<void>();
  keeper.closed(session, { ...lost, expirySeconds: 600 });
  keeper.willTaken(session, published.promise);
  // Its client is back while the will is on its way.
  const again = requestOf('second', { expirySeconds: 600, isHere: true });
  expect(await replica.open(again, session)).toEqual({ resumed: true });
  published.resolve();
  await turn();
  await keeper.save(session);
  expect(replica.keptWill).toBe('second');
});

test('a will that was published is not kept any longer', async () => {
  using replica = new Replica();
  const { keeper } = replica;
  const session = sessionOf(600);
  await replica.open(requestOf('first', { expirySeconds: 600 }), session);
  keeper.closed(session, { ...lost, expirySeconds: 600 });
  keeper.willTaken(session, Promise.resolve());
  await turn();
  expect(replica.keptWill).toBeUndefined();
});

test('the will of a session that ends here is not published again by the next of its name', async () => {
  using replica = new Replica();
  const { keeper } = replica;
  const session = sessionOf(0);
  await replica.open(requestOf('first'), session);
  const published = Promise.withResolvers<void>();
  keeper.closed(session, { ...lost, expirySeconds: 0 });
  keeper.willTaken(session, published.promise);
  keeper.ended(session);
  // Until then nobody else sees to it, as to a session that has no owner.
  expect(keeper.holds(key)).toBe(true);
  expect(await replica.open(requestOf('second'), sessionOf(0))).toEqual({ resumed: false });
  expect(replica.wills).toEqual([]);
  published.resolve();
  await turn();
  expect(replica.view.get(key)?.connect?.will?.payload).toBe(
    Buffer.from('second').toString('base64'),
  );
});

test('a session that has ended is held no longer, and nothing of it stands in the log', async () => {
  using replica = new Replica();
  const { keeper } = replica;
  const session = sessionOf(0);
  await replica.open(requestOf('first'), session);
  keeper.closed(session, { ...lost, expirySeconds: 0 });
  keeper.willTaken(session, Promise.resolve());
  keeper.ended(session);
  await turn();
  expect(keeper.holds(key)).toBe(false);
  expect(replica.view.get(key)).toBeUndefined();
});

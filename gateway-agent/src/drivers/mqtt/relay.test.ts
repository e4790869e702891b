import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Delivery, InboundMessage, Subscription } from '@domicile/mqtt/owner.ts';
import { expect, test } from 'vitest';
import { TestHost } from '../driver-kit.ts';
import type { LanSession } from './lan-client.ts';
import { Relay } from './relay.ts';
import { Retained } from './retained.ts';

const messageOf = (topic: string, text: string): InboundMessage => ({
  topic,
  payload: Buffer.from(text),
  qos: 1,
  retain: true,
  dup: false,
  packetId: 1,
  expirySeconds: undefined,
  properties: {},
});

const subscription: Subscription = {
  name: 'home/#',
  filter: 'home/#',
  share: undefined,
  qos: 1,
  noLocal: false,
  retainAsPublished: false,
  retainHandling: 0,
  identifier: undefined,
};

/** A listener that acks what is retained when the test says so, and what is new at once. */
class Listener {
  readonly heard: string[] = [];
  readonly acks: ((delivery: Delivery) => void)[] = [];
  readonly session: Pick<LanSession, 'offer' | 'deliver' | 'connected' | 'wants' | 'subscriptions'>;

  constructor() {
    this.session = {
      connected: true,
      subscriptions: new Map(),
      wants: () => true,
      offer: ({ topic, payload }, _matching, settled) => {
        this.heard.push(`${topic} ${payload.toString()}`);
        this.acks.push(settled);
        return true;
      },
      deliver: async ({ topic, payload }) => {
        this.heard.push(`${topic} ${payload.toString()}`);
        return 'acked';
      },
    };
  }
}

test('who subscribes while a device speaks hears its newest word last', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'gateway-relay-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const host = new TestHost();
  const retained = await Retained.open(directory, host.now);
  const relay = new Relay(retained, host);
  const { session: device } = new Listener();
  for (const topic of ['home/a', 'home/b']) await relay.take(device, messageOf(topic, 'old'));
  const { session, heard, acks } = new Listener();
  relay.subscribed(session, subscription, true);
  expect(heard).toEqual(['home/a old']);
  await relay.take(device, messageOf('home/b', 'new'));
  acks[0]?.('acked');
  await new Promise(setImmediate);
  expect(heard).toEqual(['home/a old', 'home/b new']);
});

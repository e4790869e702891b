import { expect, test } from 'vitest';
import { AckQueue } from './ack-queue.ts';
import { QosTwoInbox } from './qos-two-inbox.ts';
import { seeded, seeds } from './seeded.ts';

test('a repeat before PUBREL is not published again', () => {
  const queue = new AckQueue();
  const inbox = new QosTwoInbox();
  const [first, repeat, late] = [queue.arrive(5, 2), queue.arrive(5, 2), queue.arrive(5, 2)];
  expect(inbox.arrive(first)).toBe('publish');
  expect(inbox.arrive(repeat)).toBe('pending');
  expect(inbox.settle(5, true)).toEqual([first, repeat]);
  expect(inbox.arrive(late)).toBe('received');
  expect(inbox.received()).toEqual([5]);
  expect(inbox.release(5)).toBe('releasing');
  expect(inbox.received()).toEqual([]);
  inbox.keep(5);
  expect(inbox.received()).toEqual([5]);
  expect(inbox.release(5)).toBe('releasing');
  expect(inbox.release(5)).toBe('releasing');
  inbox.released(5);
  expect(inbox.release(5)).toBe('unknown');
  expect(inbox.arrive(queue.arrive(5, 2))).toBe('publish');
});

test('a refused message frees its id: the next try is published', () => {
  const queue = new AckQueue();
  const inbox = new QosTwoInbox();
  inbox.arrive(queue.arrive(5, 2));
  inbox.settle(5, false);
  expect(inbox.arrive(queue.arrive(5, 2))).toBe('publish');
});

test('PUBREL before the message was accepted is told apart', () => {
  const inbox = new QosTwoInbox();
  inbox.arrive(new AckQueue().arrive(5, 2));
  expect(inbox.release(5)).toBe('pending');
});

test.each(seeds)(
  'a client that repeats until it is acked is published exactly once a message, whatever fails (seed %d)',
  (seed) => {
    const dice = seeded(seed);
    const inbox = new QosTwoInbox();
    const accepted: number[] = [];
    for (let message = 0; message < 40; message += 1) {
      const packetId = 1 + (message % 3);
      // Each try is a new connection: the tickets of the old one settle for nobody.
      while (inbox.arrive(new AckQueue().arrive(packetId, 2)) === 'publish') {
        const ok = dice(3) > 0;
        accepted.push(...(ok ? [message] : []));
        inbox.settle(packetId, ok);
        if (ok && dice(2) === 0) break;
      }
      inbox.release(packetId);
      inbox.released(packetId);
    }
    expect(accepted).toEqual(Array.from({ length: 40 }, (_, index) => index));
    expect(inbox.size).toBe(0);
  },
);

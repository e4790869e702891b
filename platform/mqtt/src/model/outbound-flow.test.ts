import { expect, test } from 'vitest';
import { OutboundFlow, type Outgoing } from './outbound-flow.ts';
import { seeded, seeds } from './seeded.ts';

interface Entry extends Outgoing {
  readonly name: number;
}
const entry = (name: number, more: Partial<Entry> = {}): Entry => ({
  name,
  qos: 1,
  bytes: 10,
  expiresAtMs: undefined,
  ...more,
});
const sending = (receiveMaximum: number, nowMs = 0) => ({ nowMs, receiveMaximum, durable: false });
const bounds = { queuedMax: 100, queuedBytesMax: 1000 };

test('the receive maximum of the client holds, and acks let the next ones go', () => {
  const flow = new OutboundFlow<Entry>(bounds);
  for (let name = 0; name < 5; name += 1) flow.offer(entry(name));
  const sent = [flow.next(sending(2)), flow.next(sending(2)), flow.next(sending(2))];
  expect(sent.map((step) => (step?.do === 'send' ? step.entry.name : undefined))).toEqual([
    0,
    1,
    undefined,
  ]);
  expect(flow.acked(1)).toMatchObject({ name: 0 });
  expect(flow.next(sending(2))).toMatchObject({ packetId: 3, again: false });
  expect(flow.acked(1)).toBe('unknown');
});

test('the queue is bounded by count and by bytes', () => {
  const byCount = new OutboundFlow<Entry>({ queuedMax: 1, queuedBytesMax: 1000 });
  expect([byCount.offer(entry(0)), byCount.offer(entry(1))]).toEqual([true, false]);
  const byBytes = new OutboundFlow<Entry>({ queuedMax: 10, queuedBytesMax: 15 });
  expect([byBytes.offer(entry(0)), byBytes.offer(entry(1))]).toEqual([true, false]);
  byBytes.next(sending(1, 0));
  expect(byBytes.offer(entry(2))).toBe(true);
});

test('what expired is not sent, but what was sent once is sent again', () => {
  const flow = new OutboundFlow<Entry>(bounds);
  flow.offer(entry(0, { expiresAtMs: 100 }));
  flow.offer(entry(1, { expiresAtMs: 100 }));
  expect(flow.next(sending(1, 99))?.do).toBe('send');
  flow.acked(1);
  expect(flow.next(sending(1, 100))).toEqual({
    do: 'drop',
    entry: expect.objectContaining({ name: 1 }),
  });
  flow.offer(entry(2, { expiresAtMs: 200 }));
  flow.next(sending(1, 150));
  flow.reconnected();
  expect(flow.next(sending(1, 250))).toMatchObject({ do: 'send', again: true, packetId: 2 });
});

test('the end gives what nobody acked', () => {
  const flow = new OutboundFlow<Entry>(bounds);
  for (let name = 0; name < 3; name += 1) flow.offer(entry(name));
  flow.next(sending(1));
  expect(flow.end().map(({ name }) => name)).toEqual([0, 1, 2]);
});

test.each(seeds)(
  'over reconnects everything arrives, first sendings in order, ids unique, window kept (seed %d)',
  (seed) => {
    const dice = seeded(seed);
    const flow = new OutboundFlow<Entry>(bounds);
    const window = 1 + dice(5);
    const inFlight = new Map<number, number>();
    const acked = new Set<number>();
    const firsts: number[] = [];
    let resent: number[] = [];
    let offered = 0;
    let faults = 0;
    for (let step = 0; step < 3000 && acked.size < 200; step += 1) {
      const what = dice(10);
      if (what < 4 && offered < 200) offered += flow.offer(entry(offered)) ? 1 : 0;
      else if (what < 7) {
        const next = flow.next(sending(window));
        if (next?.do === 'send' && next.packetId !== undefined) {
          faults += inFlight.has(next.packetId) ? 1 : 0;
          inFlight.set(next.packetId, next.entry.name);
          (next.again ? resent : firsts).push(next.entry.name);
        }
      } else if (what < 9) {
        const [id] = [...inFlight.keys()].splice(dice(inFlight.size || 1), 1);
        if (id !== undefined) {
          const ended = flow.acked(id);
          acked.add(typeof ended === 'object' ? ended.name : -1);
          inFlight.delete(id);
        }
      } else if (dice(5) === 0) {
        faults += resent.join() === resent.toSorted((a, b) => a - b).join() ? 0 : 1;
        resent = [];
        inFlight.clear();
        flow.reconnected();
      }
      expect(inFlight.size).toBeLessThanOrEqual(window);
    }
    expect(faults).toBe(0);
    expect(firsts).toEqual(Array.from(firsts, (_, index) => index));
    expect(acked.has(-1)).toBe(false);
    expect(acked.size).toBeGreaterThan(50);
  },
);

import { expect, test } from 'vitest';
import { AckQueue, type Ticket } from './ack-queue.ts';
import { seeded, seeds } from './seeded.ts';

test.each(seeds)('acks leave in the order of arrival, each once (seed %d)', (seed) => {
  const dice = seeded(seed);
  const queue = new AckQueue();
  const open: Ticket[] = [];
  const left: number[] = [];
  const total = 3000;
  for (let arrived = 0; arrived < total || open.length > 0;) {
    if (arrived < total && (open.length === 0 || dice(2) === 0)) {
      open.push(queue.arrive(arrived, dice(2) === 0 ? 1 : 2));
      arrived += 1;
    } else {
      const [ticket] = open.splice(dice(open.length), 1);
      if (ticket) left.push(...queue.settle(ticket, 0).map(({ packetId }) => packetId));
    }
    expect(queue.size).toBe(arrived - left.length);
  }
  expect(left).toEqual(Array.from({ length: total }, (_, index) => index));
});

test('nothing leaves before the first is settled, then all that waited for it', () => {
  const queue = new AckQueue();
  const [first, second, third] = [queue.arrive(7, 1), queue.arrive(8, 2), queue.arrive(9, 1)];
  expect(queue.settle(third, 0)).toEqual([]);
  expect(queue.settle(second, 0x87)).toEqual([]);
  expect(queue.settle(first, 0)).toEqual([first, second, third]);
  expect(second.reasonCode).toBe(0x87);
});

test('a publish is settled once', () => {
  const queue = new AckQueue();
  const ticket = queue.arrive(1, 1);
  queue.settle(ticket, 0);
  expect(() => queue.settle(ticket, 0)).toThrow('settled once');
});

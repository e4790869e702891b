import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { followLive, type LiveListener, type LiveState } from './live-stream.ts';
import { CellProblem, problemOf } from './model/problem.ts';

const row = {
  device: 'r101-air',
  room: 'r101',
  metric: 'co2',
  value: 612,
  unit: '[ppm]',
  measuredAt: '2026-11-24T07:00:00Z',
};

/** Text of a stream, a refusal, or (null) a stream in which nothing moves. */
type Answer = string | CellProblem | null;

/** A cell whose stream gives each answer once, then refuses for good. */
function cellOf(answers: readonly Answer[]) {
  const resumed: (string | undefined)[] = [];
  const live = async (_id: string, lastEventId: string | undefined, signal: AbortSignal) => {
    resumed.push(lastEventId);
    const answer = resumed.length > answers.length ? refusal(403) : answers[resumed.length - 1];
    if (answer instanceof CellProblem) throw answer;
    return new ReadableStream<Uint8Array>({
      start(controller) {
        signal.addEventListener('abort', () => controller.error(new Error('aborted')));
        if (typeof answer !== 'string') return;
        controller.enqueue(new TextEncoder().encode(answer));
        controller.close();
      },
    });
  };
  return { client: { live }, resumed };
}

function refusal(status: number): CellProblem {
  return new CellProblem(problemOf(status, undefined, 'The cell'));
}

function listening() {
  const states: LiveState[] = [];
  const values: unknown[] = [];
  let resets = 0;
  const listener: LiveListener = {
    onState: (state) => states.push(state),
    onLatest: (rows) => values.push(...rows.map(({ value }) => value)),
    onSummaries: () => undefined,
    onReset: () => {
      resets += 1;
    },
  };
  return { listener, states, values, resets: () => resets };
}

async function follow(answers: readonly Answer[]) {
  const { client, resumed } = cellOf(answers);
  const heard = listening();
  const { signal } = new AbortController();
  const following = followLive(client, 'de-1', { listener: heard.listener, signal });
  await vi.advanceTimersByTimeAsync(300_000);
  await following;
  return { ...heard, resumed };
}

const event = (id: string, name: string, data: unknown) =>
  `id: ${id}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

test('a stream is resumed after the last event that came', async () => {
  const { resumed, values, resets, states } = await follow([
    event('f-1', 'latest', row) + event('f-2', 'latest', { ...row, value: 613 }),
    event('f-3', 'latest', [{ ...row, value: 614 }]),
  ]);
  expect(resumed).toEqual([undefined, 'f-2', 'f-3']);
  expect(values).toEqual([612, 613, 614]);
  expect(resets()).toBe(1);
  expect(states).toEqual(['live', 'live', 'ended']);
});

test('a reset asks for everything again', async () => {
  const { resets, resumed } = await follow([
    event('f-9', 'latest', row),
    event('g-0', 'reset', { reason: 'too-old' }),
  ]);
  expect(resets()).toBe(2);
  expect(resumed.at(-1)).toBe('g-0');
});

test('what fails for a while is tried again, and said', async () => {
  const { states, resumed } = await follow([
    refusal(503),
    refusal(503),
    event('f-1', 'latest', row),
  ]);
  expect(states).toEqual(['waiting', 'live', 'ended']);
  expect(resumed).toHaveLength(4);
});

test('a stream in which nothing moves is left and begun again', async () => {
  const { resumed } = await follow([null, event('f-1', 'latest', row)]);
  expect(resumed).toEqual([undefined, undefined, 'f-1']);
});

test('a cell that does not answer at all is left and asked again', async () => {
  const resumed: AbortSignal[] = [];
  const live = (_id: string, _last: string | undefined, signal: AbortSignal) => {
    resumed.push(signal);
    const { promise, reject } = Promise.withResolvers<ReadableStream<Uint8Array>>();
    signal.addEventListener('abort', () => reject(new Error('aborted')));
    return promise;
  };
  const { listener, states } = listening();
  const leaving = new AbortController();
  const following = followLive({ live }, 'de-1', { listener, signal: leaving.signal });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(resumed.length).toBeGreaterThan(1);
  expect(states).toEqual(['waiting']);
  leaving.abort();
  await vi.advanceTimersByTimeAsync(0);
  await following;
});

test('what cannot be read is passed over', async () => {
  const { values } = await follow([
    `${event('f-1', 'latest', { device: 5 })}event: latest\ndata: {\n\n${event('f-2', 'latest', row)}`,
  ]);
  expect(values).toEqual([612]);
});

test('nothing is asked any more once the page has left', async () => {
  const { client, resumed } = cellOf([refusal(503), refusal(503), refusal(503)]);
  const leaving = new AbortController();
  const { listener } = listening();
  const following = followLive(client, 'de-1', { listener, signal: leaving.signal });
  await vi.advanceTimersByTimeAsync(10);
  leaving.abort();
  await following;
  expect(resumed).toHaveLength(1);
});

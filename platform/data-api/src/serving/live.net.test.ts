import { setTimeout as sleep } from 'node:timers/promises';
import { MemoryObjectStore } from '@domicile/lake/memory-object-store.ts';
import { startHttp } from '@domicile/runtime/http.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';
import { expect, test } from 'vitest';
import { Door } from '../http/door.ts';
import { headersOf, secret, testBuildings } from '../test-support.ts';
import { servingEvents } from './events.ts';
import { LiveHub } from './live-hub.ts';
import { openServingLayer } from './open-serving-layer.ts';
import { servingRoutes } from './routes.ts';
import { emptyView } from './view.ts';

const at = '2026-11-23T07:00:00.000Z';
const rowOf = (value: number, device = 'r1-air') => ({
  device,
  room: 'r1',
  metric: 'co2',
  value,
  unit: '[ppm]',
  measuredAt: at,
  receivedAt: at,
});

async function startLive(liveReadersMax = 2) {
  const parts = new AsyncDisposableStack();
  const view = emptyView(parts.use(new LiveHub()), await openServingLayer(new MemoryObjectStore()));
  for (const building of testBuildings()) view.registry.take(building);
  const log = createLog('test', { write: () => undefined });
  const door = new Door({ country: 'DE', secret, buildings: view.registry });
  const events = servingEvents(log, createRegistry({}));
  const routes = servingRoutes({ door, view, events, liveReadersMax });
  const server = parts.use(
    await startHttp(routes, { host: '127.0.0.1', port: 0, log, drainTimeoutMs: 2_000 }),
  );
  const open = async (headers: Record<string, string> = {}, expiresAt?: number) => {
    const claims = expiresAt === undefined ? {} : { expiresAt };
    const answer = await fetch(`${server.url}/v1/buildings/de-one/live`, {
      headers: { ...headersOf(claims), ...headers },
    });
    return { answer, ...readerOf(answer) };
  };
  return { hub: view.hub, open, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

function readerOf(answer: Response) {
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  return {
    /** What came since the last call, up to the text that is wanted, or to the end. */
    async until(wanted: string): Promise<string> {
      let text = '';
      while (!text.includes(wanted)) {
        const { value, done } = (await reader?.read()) ?? { done: true, value: undefined };
        if (done) break;
        text += value;
      }
      return text;
    },
    close: () => reader?.cancel(),
  };
}

test('events are pushed, and a reader who comes back gets what it missed', async () => {
  await using live = await startLive();
  const first = await live.open();
  expect(first.answer.headers.get('content-type')).toContain('text/event-stream');
  await first.until('retry:');
  live.hub.latest('de-one', [rowOf(1)]);
  live.hub.latest('de-two', [rowOf(99)]);
  const text = await first.until('"value":1');
  expect(text).toMatch(/id: (\S+)\nevent: latest\ndata: \{"device":"r1-air"/);
  expect(text).not.toContain('"value":99');
  const [, id = ''] = /id: (\S+)\nevent: latest/.exec(text) ?? [];
  await first.close();

  live.hub.latest('de-one', [rowOf(2, 'r2-air')]);
  const second = await live.open({ 'Last-Event-ID': id });
  expect(await second.until('"value":2')).not.toContain('reset');
  await second.close();

  const third = await live.open({ 'Last-Event-ID': 'older-5' });
  expect(await third.until('event: reset')).toContain('event: reset');
  await third.close();
});

test('only so many streams are open at once', async () => {
  await using live = await startLive(1);
  const first = await live.open();
  await first.until('retry:');
  const second = await live.open();
  expect(second.answer.status).toBe(429);
  await first.close();
  await expect
    .poll(async () => {
      const third = await live.open();
      await third.close();
      return third.answer.status;
    })
    .toBe(200);
});

test('a reader who takes nothing is cut and holds nobody back', async () => {
  await using live = await startLive();
  const slow = await live.open();
  const quick = await live.open();
  await quick.until('retry:');
  const large = 'x'.repeat(400_000);
  for (let round = 0; round < 40; round += 1) {
    live.hub.latest('de-one', [{ ...rowOf(round, `d${round}`), room: large }]);
    await quick.until(`"device":"d${round}"`);
  }
  await expect(slow.until('never')).rejects.toThrow(/terminated|aborted/);
  await quick.close();
});

test('a stream ends when its token does', async () => {
  await using live = await startLive();
  const expiresAt = Math.floor(Date.now() / 1000) + 3;
  const stream = await live.open({}, expiresAt);
  expect(stream.answer.status).toBe(200);
  await stream.until('never');
  expect(Date.now()).toBeGreaterThanOrEqual(expiresAt * 1000 - 10);
  expect(Date.now()).toBeLessThan(expiresAt * 1000 + 10_000);
});

test('a stop closes the streams', async () => {
  const live = await startLive();
  const stream = await live.open();
  await stream.until('retry:');
  const ended = stream.until('never');
  await sleep(10);
  const stopped = live[Symbol.asyncDispose]();
  // What comes while streams end must not be written to them.
  for (let value = 0; value < 100; value += 1)
    live.hub.latest('de-one', [rowOf(value, `d${value}`)]);
  await stopped;
  expect(await ended).not.toContain('never');
});

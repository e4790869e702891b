import { MemoryObjectStore } from '@domicile/lake/memory-object-store.ts';
import { startHttp } from '@domicile/runtime/http.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { Router } from 'express';
import { expect, test } from 'vitest';
import { sendObject } from './send-object.ts';

const key = 'serving/summaries/pt1m/v1/latest.csv';

/** A store whose pointer is replaced after every look at it. */
function restless(texts: readonly string[]): MemoryObjectStore {
  const store = new MemoryObjectStore();
  let at = 0;
  const replace = () => store.replacePointer(key, Buffer.from(texts[at++ % texts.length] ?? ''));
  const { head, get } = { head: store.head.bind(store), get: store.get.bind(store) };
  void replace();
  store.head = async (asked) => {
    const found = await head(asked);
    await replace();
    return found;
  };
  store.get = async (asked) => {
    const found = await get(asked);
    await replace();
    return found;
  };
  return store;
}

test('a pointer that is replaced meanwhile is answered whole, as it was before or after', async () => {
  const texts = ['building,level\n', 'building,level\nde-one,floor\n', 'building\n'];
  const store = restless(texts);
  const router = Router();
  router.get('/', (request, response) => sendObject(store, key, request, response));
  const log = createLog('test', { write: () => undefined });
  await using server = await startHttp(router, { host: '127.0.0.1', port: 0, log });
  const etags = new Map<string, string | null>();
  for (let round = 0; round < 6; round += 1) {
    const answer = await fetch(server.url);
    const text = await answer.text();
    expect(texts).toContain(text);
    expect(etags.get(text) ?? answer.headers.get('etag')).toBe(answer.headers.get('etag'));
    etags.set(text, answer.headers.get('etag'));
  }
  expect(new Set(etags.values()).size).toBe(texts.length);
  const part = await fetch(server.url, { headers: { Range: 'bytes=0-7' } });
  expect([part.status, await part.text()]).toEqual([206, 'building']);
  const head = await fetch(server.url, { method: 'HEAD' });
  expect([...etags.values()]).toContain(head.headers.get('etag'));
  const known = { 'If-None-Match': [...etags.values()].join(', ') };
  expect((await fetch(server.url, { headers: known })).status).toBe(304);
});

import { createServer, type ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import { askDevicesSeen } from './ask-devices-seen.ts';

/** A serving API that answers so. */
async function asking(answer: (response: ServerResponse) => void) {
  const server = createServer((_request, response) => answer(response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/devices-seen`;
  try {
    return await askDevicesSeen(url, AbortSignal.timeout(20_000));
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

test('counts are read', async () => {
  const body = JSON.stringify({ windowMs: 3_600_000, seen: { 'de-a': 2 } });
  expect(await asking((response) => response.end(body))).toEqual(new Map([['de-a', 2]]));
});

const away: Record<string, readonly [(response: ServerResponse) => void, RegExp]> = {
  'not ready': [(response) => response.writeHead(503).end(), /it answers 503/],
  elsewhere: [(response) => response.writeHead(302, { location: '/x' }).end(), /redirect/],
  'no JSON': [(response) => response.end('<html>'), /its answer is none/],
  'something else': [(response) => response.end('{"seen":{"de-a":-1}}'), /its answer is none/],
  cut: [
    (response) => {
      response.writeHead(200, { 'content-length': 100 }).write('{');
      setTimeout(() => response.destroy(), 50);
    },
    /Cannot count devices/,
  ],
  'without an end': [
    (response) => {
      const more = () => {
        if (!response.destroyed && response.write(Buffer.alloc(256 * 1024, ' ')))
          setImmediate(more);
        else response.once('drain', more);
      };
      more();
    },
    /too large/,
  ],
  'without a word': [() => undefined, /Cannot count devices/],
};

test.each(Object.entries(away))('%s is no answer', async (_what, [answer, why]) => {
  await expect(asking(answer)).rejects.toMatchObject({
    code: 'UPSTREAM_UNAVAILABLE',
    message: expect.stringMatching(why),
  });
});

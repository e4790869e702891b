import { once } from 'node:events';
import { createServer } from 'node:http';
import { expect, test } from 'vitest';
import { launchBrowser } from './browser.ts';

test('the browser runs a script of a page served here, and measures text in its one font', async () => {
  const page = '<!doctype html><h1>é</h1><script>document.title = String(6 * 7)</script>';
  const server = createServer((_request, response) => response.end(page)).listen(0, '127.0.0.1');
  try {
    await once(server, 'listening');
    await using browser = await launchBrowser();
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const tab = await browser.newPage();
    await tab.goto(`http://127.0.0.1:${address.port}/`);
    expect(await tab.title()).toBe('42');
    expect((await tab.locator('h1').boundingBox())?.height).toBeGreaterThan(10);
  } finally {
    server.close();
  }
});

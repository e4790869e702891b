import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readWebConfig } from './config.ts';
import { rawly } from './test-support.ts';
import { startWeb, type WebService } from './web-start.ts';

const pageConfig = {
  issuer: 'http://127.0.0.1:8090',
  clientId: 'domicile-web',
  cells: [
    { country: 'DE', name: 'Germany', api: 'https://de.example/', audience: 'domicile:de' },
    { country: 'US', name: 'United States', api: 'https://us.example', audience: 'domicile:us' },
  ],
};

let folder = '';
let web: WebService;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'web-'));
  await mkdir(join(folder, 'dist/assets'), { recursive: true });
  await writeFile(join(folder, 'dist/index.html'), '<!doctype html><title>Domicile</title>');
  await writeFile(join(folder, 'dist/favicon.svg'), '<svg xmlns="http://www.w3.org/2000/svg"/>');
  await writeFile(join(folder, 'dist/assets/index-x1.js'), 'export {};');
  await writeFile(join(folder, 'secret.txt'), 'secret');
  await writeFile(join(folder, 'config.json'), JSON.stringify(pageConfig));
  web = await startWeb(
    readWebConfig({
      WEB_PORT: '0',
      WEB_FILES: join(folder, 'dist'),
      WEB_CONFIG_FILE: join(folder, 'config.json'),
    }),
  );
});
afterAll(async () => {
  await web[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

test('every address of the app is the page, which may ask its cells and its issuer alone', async () => {
  for (const path of ['/', '/callback?code=x', '/buildings/de-7f3k']) {
    const answer = await fetch(`${web.url}${path}`);
    expect(await answer.text()).toContain('<title>Domicile</title>');
    expect(answer.headers.get('cache-control')).toBe('no-cache');
    expect(answer.headers.get('content-security-policy')).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
        "manifest-src 'self'; connect-src 'self' http://127.0.0.1:8090 https://de.example https://us.example; " +
        "form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
    );
  }
});

test('hashed files are kept for ever, others are asked for anew', async () => {
  const hashed = await fetch(`${web.url}/assets/index-x1.js`);
  expect(hashed.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
  expect(hashed.headers.get('content-type')).toMatch(/^text\/javascript/);
  const icon = await fetch(`${web.url}/favicon.svg`);
  expect(icon.headers.get('cache-control')).toBe('private, no-cache');
  expect(icon.headers.get('content-type')).toBe('image/svg+xml');
});

test('the page is told where the cells are', async () => {
  const answer = await fetch(`${web.url}/config.json`);
  expect(await answer.json()).toEqual(pageConfig);
});

test.each([
  ['/assets/index-x2.js', 404],
  ['/nothing.js', 404],
  ['/../secret.txt', 404],
  ['/%2e%2e/secret.txt', 404],
  ['/..%2fsecret.txt', 404],
  ['/assets/..%2f..%2fsecret.txt', 404],
])('%s is %d', async (path, status) => {
  const answer = await rawly(Number(new URL(web.url).port), `GET ${path} HTTP/1.1\nHost: x`);
  expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 (${status}|403|400) `));
  expect(answer).not.toContain('secret');
});

test('nothing can be sent to it', async () => {
  const answer = await fetch(`${web.url}/`, { method: 'POST', body: 'x' });
  expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
});

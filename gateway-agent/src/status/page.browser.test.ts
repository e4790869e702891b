import { AxeBuilder } from '@axe-core/playwright';
import { launchBrowser } from '@domicile/devkit/browser.ts';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Agent } from '../running-agent.ts';
import { configText, testAgent, testDirectory, type TestDirectory } from '../test-agent.ts';
import { TestCell } from '../test-cell.ts';

let browser: Browser;
let cell: TestCell;
let agent: Agent;
let directory: TestDirectory;

beforeAll(async () => {
  [browser, cell, directory] = await Promise.all([
    launchBrowser(),
    TestCell.start(),
    testDirectory(),
  ]);
  agent = await testAgent(directory.path, configText(cell.url, { drivers: { http: { port: 0 } } }));
});

afterAll(async () => {
  await browser.close();
  await agent[Symbol.asyncDispose]();
  await cell[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

async function send(device: string, temperature: number): Promise<void> {
  const address = `http://127.0.0.1:${agent.ports['http'] ?? 0}/v1/devices/${device}/telemetry`;
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ values: { temperature } });
  expect((await fetch(address, { method: 'POST', headers, body })).ok).toBe(true);
}

const looks = [360, 1440].flatMap((width) => [
  { width, colorScheme: 'light' as const },
  { width, colorScheme: 'dark' as const },
]);

test.each(looks)('the page can be read by everybody: %o', async ({ width, colorScheme }) => {
  await send('r101-air', 21.4375);
  const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme });
  const page = await context.newPage();
  const asked = new Set<string>();
  const faults: string[] = [];
  page.on('request', (request) => asked.add(new URL(request.url()).origin));
  page.on('console', (message) => faults.push(message.text()));
  page.on('pageerror', (error) => faults.push(error.message));
  await page.goto(agent.adminUrl);
  const text = await page.locator('main').innerText();
  expect(text).toContain('Gateway gw-1 of de-test');
  expect(text).toContain('r101-air');
  // Ids, times and counts alone.
  expect(await page.content()).not.toContain('21.4375');
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
  expect(
    await page.evaluate('document.documentElement.scrollWidth - innerWidth'),
  ).toBeLessThanOrEqual(0);
  expect([...asked]).toEqual([new URL(agent.adminUrl).origin]);
  expect(faults).toEqual([]);
  await context.close();
});

test('it lives: an outage and what waits show without a reload, and go again', async () => {
  const page = await browser.newPage();
  await page.goto(agent.adminUrl);
  await page.getByText(/connected for .* to mqtt:/).waitFor();
  await cell.close();
  await page.getByText(/down for /).waitFor();
  await send('r102-air', 20);
  await page.getByText(/1 readings, the oldest for/).waitFor();
  await page.getByRole('row', { name: /r102-air/ }).waitFor();
  await cell.open();
  await page.getByText(/connected for /).waitFor();
  await page.getByText('nothing').waitFor();
  expect(await page.locator('main').innerText()).not.toContain('down for');
  await page.close();
});

test('no page of another site presses its buttons', async () => {
  const answer = await fetch(`${agent.adminUrl}/upgrade`, {
    method: 'POST',
    headers: { 'Sec-Fetch-Site': 'cross-site' },
  });
  expect(answer.status).toBe(403);
});

import { AxeBuilder } from '@axe-core/playwright';
import { launchBrowser } from '@domicile/devkit/browser.ts';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestCell, type TestCell } from './test-support.ts';

let browser: Browser;
let cell: TestCell;
beforeAll(async () => {
  [browser, cell] = await Promise.all([launchBrowser(), startTestCell()]);
});
afterAll(async () => {
  await browser.close();
  await cell[Symbol.asyncDispose]();
});

test.each([
  [360, 'light'],
  [360, 'dark'],
  [1440, 'light'],
  [1440, 'dark'],
] as const)('the description is a page for everybody at %d px, %s', async (width, colorScheme) => {
  const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme });
  const page = await context.newPage();
  const asked: string[] = [];
  page.on('request', (request) => asked.push(new URL(request.url()).origin));
  await page.goto(`${cell.url}/docs`);
  await page.locator('summary', { hasText: '/summaries' }).click();
  expect(await page.getByText('Length of the windows').isVisible()).toBe(true);
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
  const overflow = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
  expect(overflow).toBeLessThanOrEqual(0);
  expect(new Set(asked)).toEqual(new Set([cell.url]));
  await context.close();
});

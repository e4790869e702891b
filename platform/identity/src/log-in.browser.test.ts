import { AxeBuilder } from '@axe-core/playwright';
import { launchBrowser } from '@domicile/devkit/browser.ts';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { redirectUri, startTestIssuer, TestBrowser, type TestIssuer } from './test-support.ts';

let browser: Browser;
let running: TestIssuer;
beforeAll(async () => {
  [browser, running] = await Promise.all([launchBrowser(), startTestIssuer()]);
});
afterAll(async () => {
  await browser.close();
  await running[Symbol.asyncDispose]();
});

interface Look {
  readonly width: number;
  readonly colorScheme: 'light' | 'dark';
}

async function open({ width, colorScheme }: Look): Promise<{ page: Page; asked: string[] }> {
  const context = await browser.newContext({ viewport: { width, height: 720 }, colorScheme });
  const page = await context.newPage();
  const asked: string[] = [];
  page.on('request', (request) => asked.push(new URL(request.url()).origin));
  await page.goto(new TestBrowser(running.issuer).authorizationUrl());
  return { page, asked };
}

const looks: Look[] = [360, 1440].flatMap((width) => [
  { width, colorScheme: 'light' as const },
  { width, colorScheme: 'dark' as const },
]);

test.each(looks)('the log-in page is open to everybody: %o', async (look) => {
  const { page, asked } = await open(look);
  const judge = async () => {
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
    const overflow = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
    expect(overflow).toBeLessThanOrEqual(0);
  };
  await judge();
  await page.getByLabel('User name').fill('nobody');
  await page.getByLabel('Password').fill('wrong');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').waitFor();
  await judge();
  expect(new Set(asked)).toEqual(new Set([running.issuer]));
  await page.context().close();
});

test('the keyboard alone leads from the page to the app', async () => {
  const { page } = await open({ width: 360, colorScheme: 'light' });
  // The field is chosen by the page itself, at its first frame.
  await page.locator('#user:focus').waitFor();
  await page.keyboard.type('anna');
  await page.keyboard.press('Tab');
  await page.keyboard.type('right horse');
  await page.keyboard.press('Tab');
  // Nobody is there to take the log-in up; that the browser goes there is what counts.
  const arrival = page.waitForRequest((request) => request.url().startsWith(redirectUri));
  await page.keyboard.press('Enter');
  expect(new URL((await arrival).url()).searchParams.get('code')).toMatch(/^[\w-]{20,}$/);
  await page.context().close();
});

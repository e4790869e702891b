import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { launchBrowser } from '@domicile/devkit/browser.ts';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { demoUnderTest, type DemoUnderTest } from './demo-under-test.ts';
import { follow, signedInCookies, signIn, waitForBuilding, waitForBuildings } from './visit.ts';

// Pictures of every page, as docs/screens/ shows them. They are looked at by people; what is checked here is
// that each page comes to the point where it is worth a picture.

const folder = join(import.meta.dirname, '../../../.domicile/screens');
const bytesMax = 300_000;

let demo: DemoUnderTest;
let browser: Browser;
let cookies: Awaited<ReturnType<typeof signedInCookies>>['cookies'];

beforeAll(async () => {
  demo = await demoUnderTest();
  browser = await launchBrowser();
  ({ cookies } = await signedInCookies(browser, demo));
  await mkdir(folder, { recursive: true });
});

afterAll(() => browser.close());

test.each([
  { name: 'wide-light', width: 1440, height: 900, theme: 'light' },
  { name: 'wide-dark', width: 1440, height: 900, theme: 'dark' },
  { name: 'narrow-light', width: 360, height: 780, theme: 'light' },
  { name: 'narrow-dark', width: 360, height: 780, theme: 'dark' },
] as const)('pictures of every page, $name', async ({ name, width, height, theme }) => {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme });
  const page = await context.newPage();
  const pictures: string[] = [];
  const take = async (what: string) => {
    pictures.push(await takePicture(page, `${what}-${name}`));
  };

  await page.goto(demo.web);
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  await take('sign-in');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByLabel('User name').waitFor();
  await take('log-in');
  await context.addCookies(cookies);
  await signIn(page, demo);
  await waitForBuildings(page, demo);
  await take('buildings');
  const building = demo.building('DE');
  await follow(page, `/buildings/${building}`);
  await waitForBuilding(page);
  await take('building');
  await follow(page, `/buildings/${building}?level=building&metric=co2&range=24h`);
  await page.locator('.chart-title').getByText('Whole building').waitFor();
  await take('building-day');
  await context.close();

  const sizes = await Promise.all(pictures.map(async (file) => (await stat(file)).size));
  expect(sizes.filter((bytes) => bytes < 5_000 || bytes > bytesMax)).toEqual([]);
});

async function takePicture(page: Page, name: string): Promise<string> {
  const path = join(folder, `${name}.png`);
  await page.screenshot({ path, fullPage: true, animations: 'disabled' });
  return path;
}

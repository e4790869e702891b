import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import type { DemoUnderTest } from './demo-under-test.ts';

/** What tests and pictures do on a page, as its users do. */

/** Signs in; where the browser still has a session at the issuer, that is one click. */
export async function signIn(page: Page, demo: DemoUnderTest): Promise<void> {
  await page.goto(demo.web);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await enterLogin(page, demo);
  await page.getByRole('heading', { name: 'Your buildings' }).waitFor();
}

/** At the issuer's page, or already back from it. */
export async function enterLogin(page: Page, { login }: DemoUnderTest): Promise<void> {
  const field = page.getByLabel('User name');
  await field
    .or(page.getByRole('button', { name: 'Sign out' }))
    .first()
    .waitFor();
  if (!(await field.isVisible())) return;
  await field.fill(login.user);
  await page.getByLabel('Password').fill(login.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/** The cookies of a browser that has signed in, for others that need not do it again. */
export async function signedInCookies(browser: Browser, demo: DemoUnderTest): Promise<Cookies> {
  const context = await browser.newContext();
  await signIn(await context.newPage(), demo);
  const { cookies } = await context.storageState();
  await context.close();
  return { cookies, origins: [] };
}

type Cookies = Exclude<BrowserContextOptions['storageState'], string | undefined>;

/** Goes to an address without loading the page anew, as its own links do. */
export async function follow(page: Page, path: string): Promise<void> {
  await page.evaluate((to) => {
    history.pushState(null, '', to);
    dispatchEvent(new PopStateEvent('popstate'));
  }, path);
}

/** Until a building's page shows everything that it asks for. */
export async function waitForBuilding(page: Page): Promise<void> {
  await page.locator('.live-pill.live').waitFor();
  await page.locator('.room-button:not(.unknown)').first().waitFor();
  await page.locator('.chart-slider').waitFor();
  await page.getByText('devices', { exact: false }).first().waitFor();
  await page.locator('.account').waitFor();
}

export async function waitForBuildings(page: Page, demo: DemoUnderTest): Promise<void> {
  for (const { country } of demo.cells) await page.locator(`#country-${country}`).waitFor();
  await page.locator('.building-card .sparkline .line').first().waitFor();
}

/** The origins that a browser asked, in any of a context's pages. */
export function watchOrigins(context: BrowserContext): Set<string> {
  const origins = new Set<string>();
  context.on('request', (request) => origins.add(new URL(request.url()).origin));
  return origins;
}

import { join } from 'node:path';
import { AxeBuilder } from '@axe-core/playwright';
import { launchBrowser } from '@domicile/devkit/browser.ts';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { demoStartMsMax, demoUnderTest, type DemoUnderTest } from './demo-under-test.ts';
import {
  enterLogin,
  follow,
  signedInCookies,
  signIn,
  waitForBuilding,
  waitForBuildings,
  watchOrigins,
} from './visit.ts';

let demo: DemoUnderTest;
let browser: Browser;
let cookies: Awaited<ReturnType<typeof signedInCookies>>;
const parts = new AsyncDisposableStack();
const contexts: BrowserContext[] = [];
const asked = new Set<string>();
/** Of a picture that is not empty. */
const pictureBytesMin = 5_000;
const picturesDir = join(import.meta.dirname, '../../../.domicile/screens');
const patience = { timeout: 20_000 };

beforeAll(async () => {
  demo = parts.use(await demoUnderTest());
  browser = parts.use(await launchBrowser());
  cookies = await signedInCookies(browser, demo);
}, 2 * demoStartMsMax);

afterEach(async () => {
  await Promise.all(contexts.splice(0).map((context) => context.close()));
});

afterAll(() => parts.disposeAsync(), demoStartMsMax);

interface Screen {
  readonly width?: number;
  readonly theme?: 'light' | 'dark';
  /** Without cookies the issuer asks who it is. */
  readonly isKnown?: boolean;
}

async function openPage(screen: Screen = {}): Promise<Page> {
  const { width = 1440, theme = 'light', isKnown = true } = screen;
  const context = await browser.newContext({
    viewport: { width, height: 900 },
    colorScheme: theme,
    // Half of a change of colours is no state that anybody judges.
    reducedMotion: 'reduce',
    ...(isKnown && { storageState: cookies }),
  });
  contexts.push(context);
  const origins = watchOrigins(context);
  context.on('close', () => {
    for (const origin of origins) asked.add(origin);
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  return page;
}

/** What marks the element in focus: its own outline, that of its cover, or that of the face of a hidden input. */
function focusMark(page: Page): Promise<string> {
  return page.evaluate(() => {
    const { activeElement } = document;
    if (!activeElement || activeElement === document.body) return 'nothing in focus';
    const faces = [
      getComputedStyle(activeElement),
      getComputedStyle(activeElement, '::after'),
      ...(activeElement.nextElementSibling
        ? [getComputedStyle(activeElement.nextElementSibling)]
        : []),
    ];
    const isMarked = faces.some(
      ({ outlineStyle, outlineWidth }) =>
        outlineStyle !== 'none' && Number.parseFloat(outlineWidth) >= 1,
    );
    return isMarked ? 'marked' : `not marked: ${activeElement.outerHTML.slice(0, 120)}`;
  });
}

/** Presses Tab until `selector` is in focus; every stop on the way must be visible. */
async function tabTo(page: Page, selector: string, stopsMax = 120): Promise<void> {
  for (let stop = 0; stop < stopsMax; stop += 1) {
    await page.keyboard.press('Tab');
    const focused = page.locator(':focus');
    if ((await focused.count()) === 0) continue;
    expect(await focusMark(page)).toBe('marked');
    if (await focused.evaluate((element, wanted) => element.matches(wanted), selector)) return;
  }
  throw new Error(`Cannot reach ${selector} by Tab`);
}

test('with the keyboard alone one comes from the sign-in to a point of the chart', async () => {
  const page = await openPage({ isKnown: false });
  await page.goto(demo.web);
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  await tabTo(page, 'button.primary');
  await page.keyboard.press('Enter');
  await page.getByLabel('User name').waitFor();
  if (!(await page.getByLabel('User name').evaluate((field) => field.matches(':focus'))))
    await tabTo(page, 'input[name=user]');
  await page.keyboard.type(demo.login.user);
  await page.keyboard.press('Tab');
  await page.keyboard.type(demo.login.password);
  await page.keyboard.press('Enter');
  await waitForBuildings(page, demo);

  await page.keyboard.press('Tab');
  expect(await page.locator(':focus').textContent()).toContain('Skip to the content');
  await page.keyboard.press('Enter');
  await tabTo(page, '.building-card a');
  await page.keyboard.press('Enter');
  await waitForBuilding(page);
  await tabTo(page, '.chart-slider');

  const slider = page.locator('.chart-slider');
  const read: (string | null)[] = [];
  for (const key of ['End', 'ArrowLeft', 'ArrowLeft', 'Home']) {
    await page.keyboard.press(key);
    read.push(await slider.getAttribute('aria-valuetext'));
  }
  expect(new Set(read).size).toBe(4);
  expect(read[1]).toMatch(/, \d\d:\d\d(–\d\d:\d\d)?: (average|nothing was measured)/);
  await tabTo(page, 'summary');
  await page.keyboard.press('Enter');
  await page.locator('.chart-table tbody tr').nth(10).waitFor();
  await tabTo(page, '.chart-figures > button');
  const [file] = await Promise.all([page.waitForEvent('download'), page.keyboard.press('Enter')]);
  expect(file.suggestedFilename()).toMatch(/^r101-temperature-PT1M\.csv$/);
});

test.each([
  { width: 360, theme: 'light' },
  { width: 360, theme: 'dark' },
  { width: 1440, theme: 'light' },
  { width: 1440, theme: 'dark' },
] as const)('axe finds nothing serious at $width px in $theme', async ({ width, theme }) => {
  const page = await openPage({ width, theme, isKnown: false });
  await page.goto(demo.web);
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  expect(await faults(page)).toEqual([]);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByLabel('User name').waitFor();
  expect(await faults(page)).toEqual([]);
  await page.context().addCookies(cookies.cookies);
  await signIn(page, demo);
  await waitForBuildings(page, demo);
  expect(await faults(page)).toEqual([]);
  await follow(page, `/buildings/${demo.building('DE')}?range=24h&interval=PT1H`);
  await waitForBuilding(page);
  await page.getByText('The chart as a table').click();
  await page.getByRole('button', { name: /Show all/ }).click();
  await page.locator('.chart-table tbody tr').first().waitFor();
  expect(await faults(page)).toEqual([]);
});

/** What axe finds serious, and whether the page is wider than the screen. */
async function faults(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  const { wide, screen } = await page.evaluate(() => ({
    wide: document.documentElement.scrollWidth,
    screen: innerWidth,
  }));
  return [
    ...serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`),
    ...(wide > screen ? [`${wide} px wide on ${screen} px`] : []),
  ];
}

test('each building is asked for at its own cell, with a token of that cell', async () => {
  const page = await openPage();
  const wrong: string[] = [];
  const cellsAsked = new Set<string>();
  page.on('request', (request) => {
    const token = request.headers()['authorization']?.replace('Bearer ', '');
    if (token === undefined) return;
    const { origin, pathname } = new URL(request.url());
    const country = demo.cells.find(({ api }) => api === origin)?.country.toLowerCase() ?? '';
    const claims: unknown = JSON.parse(
      Buffer.from(token.split('.')[1] ?? '', 'base64url').toString(),
    );
    const building = pathname.split('/')[3];
    cellsAsked.add(country);
    if (building !== undefined && !building.startsWith(`${country}-`)) wrong.push(request.url());
    expect(claims).toMatchObject({ aud: `domicile:${country}` });
  });
  await signIn(page, demo);
  await waitForBuildings(page, demo);
  for (const { country } of demo.cells) {
    await follow(page, `/buildings/${demo.building(country)}`);
    await waitForBuilding(page);
  }
  expect(wrong).toEqual([]);
  expect([...cellsAsked].toSorted()).toEqual(
    demo.cells.map(({ country }) => country.toLowerCase()).toSorted(),
  );
});

test('the newest values move by themselves', async () => {
  const page = await openPage();
  await signIn(page, demo);
  await follow(page, `/buildings/${demo.building('DE')}`);
  await waitForBuilding(page);
  const ages = page.locator('.room-tiles .tile-age');
  const before = await ages.allTextContents();
  await expect
    .poll(async () => (await ages.allTextContents()).some((age) => /^(now|[0-5] s)/.test(age)), {
      timeout: 30_000,
    })
    .toBe(true);
  expect(before.length).toBeGreaterThan(0);
  await page.locator('.live-pill').getByText('last value').waitFor();
});

test('a stream that breaks is resumed where it was', async () => {
  const page = await openPage();
  await page.addInitScript(makeStreamsBreakable);
  const resumedFrom: (string | undefined)[] = [];
  let refills = 0;
  page.on('request', (request) => {
    const { pathname } = new URL(request.url());
    if (request.method() !== 'GET') return;
    if (pathname.endsWith('/live')) resumedFrom.push(request.headers()['last-event-id']);
    if (pathname.endsWith('/latest')) refills += 1;
  });
  await signIn(page, demo);
  await follow(page, `/buildings/${demo.building('DE')}`);
  await waitForBuilding(page);
  await page.locator('.live-pill').getByText('last value').waitFor();
  refills = 0;
  await page.evaluate(() => dispatchEvent(new Event('break-streams')));
  await expect.poll(() => resumedFrom.length, patience).toBe(2);
  await page
    .locator('.live-pill.live')
    .getByText(/last value (now|[0-3] s)/)
    .waitFor();
  expect(resumedFrom[0]).toBeUndefined();
  expect(resumedFrom[1]).toMatch(/.+/);
  expect(refills).toBe(0);
});

/** Runs in the page: live streams fail as if the network had, when the event says so. */
function makeStreamsBreakable(): void {
  const fetchReally = window.fetch;
  window.fetch = async (input, init) => {
    const response = await fetchReally(input, init);
    if (!response.url.endsWith('/live') || !response.body) return response;
    const reader = response.body.getReader();
    const body = new ReadableStream({
      start(controller) {
        const fail = () => {
          void reader.cancel();
          controller.error(new TypeError('network error'));
        };
        addEventListener('break-streams', fail, { once: true });
      },
      async pull(controller) {
        const { done, value } = await reader.read();
        if (!done) controller.enqueue(value);
      },
    });
    return new Response(body, response);
  };
}

test('a cell that does not answer takes nothing from the others', async () => {
  const page = await openPage();
  const [first, second] = demo.cells;
  await page.route(`${second?.api}/**`, (route) => route.abort());
  await signIn(page, demo);
  const failed = page.locator('section.country', {
    has: page.locator(`#country-${second?.country}`),
  });
  await failed.getByRole('alert').waitFor();
  await page
    .locator(`section.country:has(#country-${first?.country}) .building-card`)
    .first()
    .waitFor();
  await page.unroute(`${second?.api}/**`);
  await failed.getByRole('button', { name: 'Try again' }).click();
  await failed.locator('.building-card').first().waitFor();
  expect(await failed.getByRole('alert').count()).toBe(0);
});

test('an address leads back to where it was after the sign-in, and a reload stays signed in', async () => {
  const page = await openPage();
  const path = `/buildings/${demo.building('US')}?level=building&range=24h`;
  await page.goto(demo.web + path);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await enterLogin(page, demo);
  await waitForBuilding(page);
  expect(page.url()).toBe(demo.web + path);
  await page.reload();
  await waitForBuilding(page);
});

test('a copy of a tab signs in by itself, and the first one keeps its session', async () => {
  const page = await openPage();
  await signIn(page, demo);
  const [copy] = await Promise.all([
    page.waitForEvent('popup'),
    page.evaluate(() => void open(location.href)),
  ]);
  await waitForBuildings(copy, demo);
  const signIns = await Promise.all([page, copy].map(idToken));
  expect(new Set(signIns).size).toBe(2);
  await page.reload();
  await waitForBuildings(page, demo);
  expect(await idToken(page)).toBe(signIns[0]);
});

function idToken(page: Page): Promise<unknown> {
  return page.evaluate(() => JSON.parse(sessionStorage.getItem('domicile.session') ?? '').idToken);
}

test('a page that the browser brings back as it was left is loaded anew', async () => {
  const page = await openPage();
  await page.goto(demo.web);
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  await page.evaluate(() => {
    document.title = 'as it was left';
    dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }));
  });
  await expect.poll(() => page.title(), patience).toBe('Sign in – Domicile');
});

test('a page whose configuration does not come says so', async () => {
  const page = await openPage();
  await page.addInitScript(() => {
    const timeout = AbortSignal.timeout.bind(AbortSignal);
    AbortSignal.timeout = (ms) => timeout(ms / 100);
  });
  await page.route('**/config.json', () => undefined);
  await page.goto(demo.web);
  await page.getByRole('heading', { name: 'Domicile cannot start' }).waitFor();
  expect(await page.getByRole('button', { name: 'Load again' }).count()).toBe(1);
});

test('an answer in pages that takes longer than the time to ask anew is waited for', async () => {
  const page = await openPage();
  await page.clock.install();
  const questions: string[] = [];
  const answers = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  await page.route(/\/v1\/buildings\/[^/]+\/account/, async (route) => {
    const at = new URL(route.request().url()).searchParams.has('cursor') ? 1 : 0;
    questions.push(`page ${at + 1}`);
    await answers[at]?.promise;
    const headers = { 'access-control-allow-origin': demo.web };
    const next = at === 0 ? 'more' : null;
    await route.fulfill({ headers, json: { totals: {}, rows: [], next } });
  });
  await page.goto(`${demo.web}/buildings/${demo.building('DE')}`);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect.poll(() => questions, patience).toEqual(['page 1']);
  await page.clock.runFor(15_000);
  answers[0]?.resolve();
  await expect.poll(() => questions, patience).toEqual(['page 1', 'page 2']);
  await page.clock.runFor(16_000);
  answers[1]?.resolve();
  await page.locator('.account').waitFor();
  expect(questions).toEqual(['page 1', 'page 2']);
});

test('a building of somebody else looks as if there were none', async () => {
  const page = await openPage();
  await signIn(page, demo);
  const said: (string | null)[] = [];
  for (const building of [demo.buildingOfOthers, 'de-nobodys']) {
    await follow(page, `/buildings/${building}`);
    await page.getByRole('heading', { name: building }).waitFor();
    said.push(await page.getByRole('alert').textContent());
  }
  expect(said[0]).toContain('choose a building from the list');
  expect(said[0]).toBe(said[1]);
  expect(await page.getByRole('button', { name: 'Try again' }).count()).toBe(0);
});

test('an answer of the issuer that nobody waits for signs nobody in and nobody out', async () => {
  const page = await openPage();
  const answer = `${demo.web}/callback?code=stolen&state=unknown`;
  await page.goto(answer);
  await page.getByText('begun elsewhere').waitFor();
  await signIn(page, demo);
  await page.goto(answer);
  await waitForBuildings(page, demo);
  expect(page.url()).toBe(`${demo.web}/`);
});

test('after signing out nothing is kept in the tab', async () => {
  const page = await openPage({ isKnown: false });
  await signIn(page, demo);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign out' }).waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  expect(page.url()).toBe(`${demo.web}/`);
  expect(await page.evaluate(() => sessionStorage.length)).toBe(0);
});

test('the theme that was chosen outlives a reload', async () => {
  const page = await openPage({ theme: 'light' });
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.goto(demo.web);
  const light = await paper();
  await page.getByRole('button', { name: /Change to light/ }).click();
  await page.getByRole('button', { name: /Change to dark/ }).click();
  const dark = await paper();
  expect(dark).not.toBe(light);
  await page.reload();
  await page.getByRole('button', { name: /Colours: dark/ }).waitFor();
  expect(await paper()).toBe(dark);
});

// Pictures of every page, as docs/screens/ shows them. People look at them; what is checked here is that each
// page comes to the point where it is worth a picture.
test.each([
  { name: 'wide-light', width: 1440, theme: 'light' },
  { name: 'wide-dark', width: 1440, theme: 'dark' },
  { name: 'narrow-light', width: 360, theme: 'light' },
  { name: 'narrow-dark', width: 360, theme: 'dark' },
] as const)('pictures of every page, $name', async ({ name, width, theme }) => {
  const page = await openPage({ width, theme, isKnown: false });
  const sizes: number[] = [];
  const take = async (what: string) => {
    const path = join(picturesDir, `${what}-${name}.png`);
    const { length } = await page.screenshot({ path, fullPage: true, animations: 'disabled' });
    sizes.push(length);
  };

  await page.goto(demo.web);
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  await take('sign-in');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByLabel('User name').waitFor();
  await take('log-in');
  await page.context().addCookies(cookies.cookies);
  await signIn(page, demo);
  await waitForBuildings(page, demo);
  await take('buildings');
  const building = demo.building('DE');
  await follow(page, `/buildings/${building}?metric=co2`);
  await waitForBuilding(page);
  await take('building');
  expect(sizes.filter((bytes) => bytes < pictureBytesMin)).toEqual([]);
});

test('in all of these tests the browser asked the page’s origin, the cells and the issuer, and nobody else', () => {
  const known = [demo.web, demo.issuer, ...demo.cells.map(({ api }) => api)];
  expect([...asked].toSorted()).toEqual(known.map((address) => new URL(address).origin).toSorted());
});

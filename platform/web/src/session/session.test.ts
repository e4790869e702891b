import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Session } from './session.ts';

const issuer = 'https://issuer.test';
const cell = {
  country: 'DE',
  name: 'Germany',
  api: 'https://de.test',
  audience: 'urn:domicile:de',
};
const configuration = { issuer, clientId: 'web', cells: [cell] };
const keptAtFirst = { refreshToken: 'refresh-1', idToken: 'id-1', name: 'Ada' };

/** The issuer's answers to exchanges, each given when a test says so. */
let exchanges: PromiseWithResolvers<Response>[];
let storage: Map<string, string>;
let left: string[];
/** By lock: lets go of it, as the end of a page does. */
let held: Map<string, () => void>;

/** As the browser does it, for pages that share an origin. */
async function requestLock(name: string, { signal }: { signal: AbortSignal }, use: () => unknown) {
  await vi.waitUntil(() => signal.aborted || !held.has(name), { timeout: 5_000, interval: 5 });
  signal.throwIfAborted();
  const gone = Promise.withResolvers<void>();
  held.set(name, gone.resolve);
  await Promise.race([use(), gone.promise]);
  held.delete(name);
}

beforeEach(() => {
  exchanges = [];
  left = [];
  held = new Map();
  storage = new Map([['domicile.session', JSON.stringify(keptAtFirst)]]);
  vi.stubGlobal('navigator', { locks: { request: requestLock } });
  vi.stubGlobal('sessionStorage', {
    getItem: (key: string) => storage.get(key) ?? null,
    setItem: (key: string, value: string) => storage.set(key, value),
    removeItem: (key: string) => storage.delete(key),
  });
  vi.stubGlobal('location', {
    origin: 'https://web.test',
    assign: (href: string) => left.push(href),
  });
  vi.stubGlobal('fetch', (address: string) => {
    if (address.includes('/.well-known/'))
      return Promise.resolve(
        Response.json({
          issuer,
          authorization_endpoint: `${issuer}/authorize`,
          token_endpoint: `${issuer}/token`,
          end_session_endpoint: `${issuer}/end`,
        }),
      );
    const exchange = Promise.withResolvers<Response>();
    exchanges.push(exchange);
    return exchange.promise;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

async function exchangeNumber(number: number): Promise<PromiseWithResolvers<Response>> {
  await vi.waitFor(() => expect(exchanges).toHaveLength(number));
  const exchange = exchanges[number - 1];
  if (!exchange) throw new Error(`No exchange ${number}`);
  return exchange;
}

function renewed(number: number): Response {
  return Response.json({ access_token: `access-${number}`, refresh_token: `refresh-${number}` });
}

test('a renewed token is kept for the next reload', async () => {
  const session = new Session(configuration);
  const token = session.tokenFor(cell);
  (await exchangeNumber(1)).resolve(renewed(2));
  expect(await token).toBe('access-2');
  const kept = { ...keptAtFirst, refreshToken: 'refresh-2' };
  expect(storage.get('domicile.session')).toBe(JSON.stringify(kept));
});

test('whoever signs out while a token is renewed leaves nothing in the tab', async () => {
  const session = new Session(configuration);
  const token = session.tokenFor(cell);
  const waiting = session.tokenFor({ ...cell, audience: 'urn:domicile:ch' });
  const exchange = await exchangeNumber(1);
  await session.signOut();
  exchange.resolve(renewed(2));
  await expect(token).rejects.toThrow('Your sign-in has ended');
  await expect(waiting).rejects.toThrow('Your sign-in has ended');
  expect([...storage.keys()]).toEqual([]);
  expect(session.state).toEqual({ signedIn: false });
  expect(exchanges).toHaveLength(1);
  expect(new URL(left[0] ?? '').searchParams.get('id_token_hint')).toBe('id-1');
});

test('a refusal that comes after signing out is not told as an end of the sign-in', async () => {
  const session = new Session(configuration);
  const token = session.tokenFor(cell);
  const exchange = await exchangeNumber(1);
  await session.signOut();
  exchange.resolve(Response.json({ error: 'invalid_grant' }, { status: 400 }));
  await expect(token).rejects.toThrow('Your sign-in has ended');
  expect(session.state).toEqual({ signedIn: false });
});

test('a sign-in that the issuer ended is told, and nothing of it stays', async () => {
  const session = new Session(configuration);
  const token = session.tokenFor(cell);
  (await exchangeNumber(1)).resolve(Response.json({ error: 'invalid_grant' }, { status: 400 }));
  await expect(token).rejects.toThrow('Your sign-in has ended');
  expect(session.state).toMatchObject({
    signedIn: false,
    reason: expect.stringContaining('ended'),
  });
  expect([...storage.keys()]).toEqual([]);
});

const other = { ...cell, audience: 'urn:domicile:ch' };

test('a cell whose token is good is not held up by the renewal of another one', async () => {
  const session = new Session(configuration);
  const token = session.tokenFor(cell);
  const exchange = await exchangeNumber(1);
  exchange.resolve(Response.json({ access_token: 'access-1', expires_in: 600 }));
  await token;
  void session.tokenFor(other);
  await exchangeNumber(2);
  expect(await session.tokenFor(cell)).toBe('access-1');
});

test('all who wait for the same token fail with the one exchange that failed', async () => {
  const session = new Session(configuration);
  const tokens = [session.tokenFor(cell), session.tokenFor(cell), session.tokenFor(cell)];
  (await exchangeNumber(1)).reject(new TypeError('no network'));
  const outcomes = await Promise.allSettled(tokens);
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  expect(exchanges).toHaveLength(1);
  const again = session.tokenFor(cell);
  (await exchangeNumber(2)).resolve(renewed(2));
  expect(await again).toBe('access-2');
});

test('a token that a cell refuses is renewed once, also for those whose refusal comes late', async () => {
  const session = new Session(configuration);
  const first = session.tokenFor(cell);
  const fresh = (number: number) =>
    Response.json({ access_token: `access-${number}`, expires_in: 600 });
  (await exchangeNumber(1)).resolve(fresh(1));
  const refused = await first;
  const early = session.tokenFor(cell, refused);
  (await exchangeNumber(2)).resolve(fresh(2));
  expect(await early).toBe('access-2');
  expect(await session.tokenFor(cell, refused)).toBe('access-2');
  expect(exchanges).toHaveLength(2);
});

test('a copy of a tab uses nothing of the first one’s session', async () => {
  expect(await new Session(configuration).claim()).toBe(true);
  storage = new Map(storage);
  const timeout = AbortSignal.timeout.bind(AbortSignal);
  vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => timeout(ms / 100));
  const copy = new Session(configuration);
  expect(await copy.claim()).toBe(false);
  expect(copy.state).toMatchObject({ signedIn: false, reason: expect.stringContaining('copy') });
  expect([...storage.keys()]).toEqual([]);
  await expect(copy.tokenFor(cell)).rejects.toThrow('Your sign-in has ended');
  expect(exchanges).toHaveLength(0);
});

test('a page that is loaded anew takes the session over from the one that ends', async () => {
  expect(await new Session(configuration).claim()).toBe(true);
  const after = new Session(configuration);
  const claimed = after.claim();
  for (const letGo of held.values()) letGo();
  expect(await claimed).toBe(true);
  expect(after.state).toEqual({ signedIn: true, name: 'Ada' });
});

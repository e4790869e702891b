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

beforeEach(() => {
  exchanges = [];
  left = [];
  storage = new Map([['domicile.session', JSON.stringify(keptAtFirst)]]);
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

import { expect, test } from 'vitest';
import { matchRoute, routes } from './routes.ts';

const match = (method: string, path: string) => matchRoute(method, path.slice(1).split('/'));

test('a path leads to its route with its parameters', () => {
  expect(match('GET', '/v1/buildings/de-1/devices/d/commands/c')).toMatchObject({
    route: { scope: 'command:write', upstream: 'commands' },
    parameters: { building: 'de-1', device: 'd', command: 'c' },
  });
  expect(match('HEAD', '/v1/data/summaries/pt1h/v1/latest.json')).toMatchObject({
    parameters: { api: 'summaries', endpoint: 'pt1h', path: 'v1/latest.json' },
  });
});

test('a fixed word comes before a parameter', () => {
  expect(match('POST', '/v1/analysis/sql')).toMatchObject({ route: { isBuilt: false } });
  expect(match('GET', '/v1/analysis/sql')).toEqual({ allowed: ['POST'] });
  expect(match('GET', '/v1/analysis/load-profile')).toMatchObject({
    parameters: { name: 'load-profile' },
  });
});

test('what is not in the table is nowhere', () => {
  for (const path of ['/v1', '/v1/raw', '/v1/buildings/de-1/x', '/v1/raw/readings/x', '/v1/data/x'])
    expect(match('GET', path)).toBeUndefined();
});

test('raw and analysis go to the raw service alone, by their own scopes', () => {
  const raw = routes.filter(({ path }) => /^\/v1\/(raw|analysis)/.test(path));
  expect(raw.length).toBeGreaterThan(4);
  for (const { upstream, scope } of raw) {
    expect(upstream).toBe('raw');
    expect(['raw:read', 'analysis:run']).toContain(scope);
  }
  expect(routes.filter((one) => one.upstream === 'raw')).toEqual(raw);
});

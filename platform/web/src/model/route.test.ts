import { expect, test } from 'vitest';
import { defaultView, parseRoute, pathOfBuilding, type View } from './route.ts';

function roundTrip(view: View) {
  const [pathname = '', search = ''] = pathOfBuilding('de-7f3k', view).split('?');
  return parseRoute(pathname, search);
}

test('the address of a view leads back to the view', () => {
  const view: View = {
    level: 'device',
    of: 'r101-air',
    metric: 'co2',
    range: '7d',
    interval: 'PT15M',
    until: Date.parse('2026-11-24T07:00:00Z'),
  };
  expect(roundTrip(view)).toEqual({ page: 'building', id: 'de-7f3k', view });
  expect(pathOfBuilding('de-7f3k')).toBe('/buildings/de-7f3k');
  expect(roundTrip(defaultView)).toEqual({ page: 'building', id: 'de-7f3k', view: defaultView });
});

test('what cannot be read in the query is the default', () => {
  const route = parseRoute('/buildings/us-1/', '?level=galaxy&range=1000y&interval=x&until=soon');
  expect(route).toEqual({ page: 'building', id: 'us-1', view: defaultView });
});

test.each(['/buildings/', '/buildings/DE-1', '/buildings/de-1/x', '/buildings/..%2f', '/admin'])(
  '%s is no page',
  (path) => {
    expect(parseRoute(path, '')).toEqual({ page: 'unknown' });
  },
);

test('the list has two addresses', () => {
  expect([parseRoute('/', ''), parseRoute('/buildings', '')].map(({ page }) => page)).toEqual([
    'buildings',
    'buildings',
  ]);
});

import { expect, test } from 'vitest';
import { pagePolicy, statusPage } from './page.ts';

const report = {
  version: '1.2.3',
  building: 'de-7f3k',
  gateway: 'gw-1',
  at: '2026-11-27T12:00:00.000Z',
  startedAt: '2026-11-24T11:00:00.000Z',
  link: { connected: false, url: 'mqtts://cell:8883', reason: `<img src=x onerror="alert('1')">` },
  lanes: [],
  store: { boot: 'b', next: 5, bytes: 1, bytesMax: 4, unsent: [], unsentRecords: 0 },
  devices: Array.from({ length: 600 }, (_, index) => ({
    device: `d${index}`,
    state: 'unheard' as const,
    readings: 0,
  })),
  dropped: [],
  drivers: [],
  errors: [{ at: '2026-11-27T11:57:00.000Z', what: '</td><script>', count: 1 }],
};

test('what others say is text on the page, and there is an end to it', () => {
  const page = statusPage(report);
  expect(page).toContain('&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;');
  expect(page).not.toContain('<img');
  expect(page.match(/<script>/g)).toHaveLength(1);
  expect(page.match(/<tr>/g)?.length).toBeLessThanOrEqual(501);
  expect(page).toContain('… and 100 more');
});

test('it may load nothing of others', () => {
  expect(pagePolicy).toContain("default-src 'none'");
  expect(pagePolicy).not.toMatch(/unsafe|https?:/);
});

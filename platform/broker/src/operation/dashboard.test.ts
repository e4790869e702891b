import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { z } from 'zod';
import { createBrokerEvents, exposeGauges } from '../events.ts';
import { createFeedEvents, exposeFeedGauges } from '../messages/feed-events.ts';
import { createSessionEvents, exposeSessionGauges } from '../sessions/session-events.ts';
import { brokerAlerts, brokerDashboard } from './dashboard.ts';

const folder = '../../dashboards/generated';

/** Names of all metrics that the broker has. */
async function known(): Promise<Set<string>> {
  const registry = createRegistry({});
  const log = createLog('broker', { write: () => undefined });
  const none = () => 0;
  const events = createBrokerEvents(registry, log);
  exposeGauges(registry, {
    connections: none,
    sessions: none,
    inFlight: none,
    pendingCommands: none,
    buildings: none,
    subscriptions: none,
    bytesReceived: none,
    bytesSent: none,
    handshakesWaiting: none,
    certificateExpiresSeconds: none,
    listsNextUpdateSeconds: none,
  });
  createFeedEvents(registry, log, events);
  exposeFeedGauges(registry, { behind: none, retained: none, retainedBytes: none });
  createSessionEvents(registry, log);
  const nobody = { size: 0, living: () => nobody };
  exposeSessionGauges(registry, { view: nobody, replicas: nobody });
  const metrics = await registry.getMetricsAsJSON();
  return new Set(
    metrics.flatMap(({ name, type }) =>
      String(type) === 'histogram' ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : [name],
    ),
  );
}

/** What a query asks for. */
function namesIn(query: string): string[] {
  return query.match(/\b(?:mqtt|broker|nodejs|process)_[a-z0-9_]+/g) ?? [];
}

test('every metric that the dashboard and the alerts name is there', async () => {
  const names = await known();
  const { panels } = brokerDashboard();
  const asked = new Set(namesIn(JSON.stringify([panels, brokerAlerts()])));
  expect(asked.size).toBeGreaterThan(25);
  expect([...asked].filter((name) => !names.has(name))).toEqual([]);
});

const placed = z.looseObject({
  id: z.number(),
  type: z.string(),
  gridPos: z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }),
  targets: z.array(z.unknown()).default([]),
});

function panelsShown() {
  const panels = z.array(placed).parse(brokerDashboard().panels);
  return panels.filter(({ type }) => type !== 'row');
}

test('every panel has a title, a description, a unit and a query with a legend', () => {
  for (const panel of panelsShown()) {
    expect(panel).toMatchObject({
      title: expect.stringMatching(/./),
      description: expect.stringMatching(/\.$/),
      fieldConfig: { defaults: { unit: expect.stringMatching(/./) } },
    });
    for (const target of panel.targets) {
      expect(target).toMatchObject({
        expr: expect.stringMatching(/./),
        legendFormat: expect.stringMatching(/./),
      });
    }
  }
});

test('panels lie side by side and have their own ids', () => {
  const panels = z.array(placed).parse(brokerDashboard().panels);
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, index) => `${x + (index % w)} ${y + Math.floor(index / w)}`),
  );
  expect(new Set(cells).size).toBe(cells.length);
});

test('the files are what the code says', async () => {
  const json = `${JSON.stringify(brokerDashboard(), null, 2)}\n`;
  await expect(json).toMatchFileSnapshot(`${folder}/broker-dashboard.json`);
  await expect(stringify(brokerAlerts())).toMatchFileSnapshot(`${folder}/broker-alerts.yaml`);
});

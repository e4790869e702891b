import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { createAgentEvents } from './events.ts';

const root = join(import.meta.dirname, '..');
const dashboardSchema = z.object({
  panels: z.array(
    z.object({
      id: z.number(),
      title: z.string(),
      gridPos: z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }),
      targets: z.array(z.object({ expr: z.string() })).min(1),
    }),
  ),
});

async function dashboard() {
  const text = await readFile(join(root, 'dashboards/gateway.json'), 'utf8');
  return dashboardSchema.parse(JSON.parse(text));
}

/** Metrics of an agent by name, with their labels. */
async function metrics(): Promise<ReadonlyMap<string, readonly string[]>> {
  const registry = createRegistry({ service: 'gateway-agent', country: 'de', building: 'de-1' });
  createAgentEvents(registry, createLog('gateway-agent', { write: () => undefined }));
  const labels = z.looseObject({ labelNames: z.array(z.string()).default([]) });
  const found = new Map(
    registry
      .getMetricsAsArray()
      .map((metric) => [metric.name, labels.parse({ ...metric }).labelNames]),
  );
  // Registered by the admin port, which needs a store.
  const source = await readFile(join(root, 'src/status/metrics.ts'), 'utf8');
  for (const [, name = '', rest = ''] of source.matchAll(
    /name: '(gateway_\w+)',([^}]*?)(?:registers|valueOf)/g,
  ))
    found.set(
      name,
      [...rest.matchAll(/labelNames: \['(\w+)'\]/g)].map(([, label = '']) => label),
    );
  return found;
}

/** Names of metrics in an expression, without what functions and labels are called. */
function metricsIn(expr: string): string[] {
  const bare = expr.replaceAll(/\{[^}]*\}|\[[^\]]*\]|by \([^)]*\)|"[^"]*"/g, ' ');
  return [...bare.matchAll(/\b((?:gateway|process|nodejs)_\w+)\b/g)].map(([, name = '']) => name);
}

function plain(name: string): string {
  return name.replace(/_(?:bucket|sum|count)$/, '');
}

test('each panel asks for metrics that an agent has, by labels that they have', async () => {
  const known = await metrics();
  const { panels } = await dashboard();
  const common = ['building', 'country', 'service', 'le'];
  for (const { title, targets } of panels)
    for (const { expr } of targets) {
      const names = metricsIn(expr);
      expect({ title, expr, has: names.length > 0 }).toEqual({ title, expr, has: true });
      expect({
        title,
        unknown: names.filter((name) => !known.has(name) && !known.has(plain(name))),
      }).toEqual({ title, unknown: [] });
      const grouped = /by \(([^)]*)\)/.exec(expr)?.[1]?.split(', ') ?? [];
      const labels = new Set([...common, ...names.flatMap((name) => known.get(plain(name)) ?? [])]);
      expect({ title, unknown: grouped.filter((label) => !labels.has(label)) }).toEqual({
        title,
        unknown: [],
      });
    }
});

test('panels lie side by side, and none on another', async () => {
  const { panels } = await dashboard();
  const taken = new Map<string, string>();
  for (const {
    title,
    gridPos: { x, y, w, h },
  } of panels) {
    expect(x + w).toBeLessThanOrEqual(24);
    for (let column = x; column < x + w; column++)
      for (let row = y; row < y + h; row++) {
        expect({ title, on: taken.get(`${column} ${row}`) }).toEqual({ title, on: undefined });
        taken.set(`${column} ${row}`, title);
      }
  }
});

test('the metrics of an agent are documented', async () => {
  const text = await readFile(join(root, '../docs/operations/gateway.md'), 'utf8');
  const own = [...(await metrics()).keys()].filter((name) => name.startsWith('gateway_'));
  expect(own.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
});

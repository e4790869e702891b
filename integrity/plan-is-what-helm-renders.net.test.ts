import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseCountryPack } from '@domicile/core/country-pack.ts';
import { readDeclared } from '@domicile/operators/plan/declared.ts';
import { lookAtValues } from '@domicile/operators/plan/plan-building.ts';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { objectsOf, renderChart } from './support/render-chart.ts';

// What `domicile plan --server` asks the API server about is what Helm would send it.

const root = join(import.meta.dirname, '..');

const values: Record<string, string> = {
  demo: readFileSync(join(root, 'examples/demo/de.values.yaml'), 'utf8'),
  rich: `
deviceTypes:
  radon-meter: { every: PT1M, metrics: { radon: { unit: "1", min: 0, max: 100000 } } }
  unused: { metrics: { radon: {} } }
roomTypes:
  standard-room: { air: air-quality, light: light-meter }
  other-room: { air: air-quality }
buildings:
  de-b02q:
    client: globex
    country: DE
    name: Harbour offices
    timeZone: Europe/Berlin
    deletionPolicy: Delete
    exportBeforeDelete: true
    legalHold: true
    quotas: { messagesPerSecond: 500, bytesPerSecond: 10000000000 }
    floors:
      "0": { rooms: { lobby: { devices: { radon: radon-meter } } } }
      "1": { rooms: { "r1[01-10]": standard-room, r111: { type: standard-room, validFrom: "2026-06-01T00:00:00+02:00" } } }
    devices:
      trolley: { type: air-quality, placements: [{ floor: "0", room: lobby }] }
`,
};

test.each(Object.entries(values))('of the values %s', async (_what, text) => {
  const pack = parseCountryPack(parse(readFileSync(join(root, 'regions/de.yaml'), 'utf8')));
  const planned = readDeclared(text, 'values.yaml').flatMap((declared) =>
    declared.kind === 'buildings' ? lookAtValues(declared.values, pack).buildings : [],
  );
  const specs = planned.map((one) =>
    'accepted' in one ? [one.accepted.record.id, one.accepted.resource.spec] : one.faults,
  );
  const { stdout, stderr } = await renderChart('domicile-buildings', parse(text));
  expect(stderr).toBe('');
  const rendered = objectsOf(stdout).map((object) => [object.metadata.name, object['spec']]);
  expect(new Map(Object.entries(Object.fromEntries(specs)))).toEqual(
    new Map(Object.entries(Object.fromEntries(rendered))),
  );
});

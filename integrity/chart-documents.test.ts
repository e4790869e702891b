import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseCountryPack } from '@domicile/core/country-pack.ts';
import { cellSpecSchema } from '@domicile/core/resources/cell.ts';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { charts } from './support/render-chart.ts';
import { tableOf, type Value, valuesOf } from './support/values-table.ts';

// What charts say of themselves is what they are. What is written by machine is written anew by
// `npx vitest run --project integrity integrity/chart-documents.test.ts -u`.

const names = ['domicile-operator', 'domicile-cell', 'domicile-buildings'];
const read = (...path: string[]): string => readFileSync(join(charts, ...path), 'utf8');
const schemaOf = (chart: string): unknown => JSON.parse(read(chart, 'values.schema.json'));
const defaultsOf = (chart: string): unknown => parse(read(chart, 'values.yaml'));

function valuesOfChart(chart: string): Value[] {
  return valuesOf(schemaOf(chart), defaultsOf(chart));
}

test.each(names)(
  'the table of values in the README of %s is what its schema says',
  async (chart) => {
    const rows = valuesOfChart(chart).map(({ path, unset, meaning }) => [
      `\`${path}\``,
      unset,
      meaning,
    ]);
    const table = tableOf(['Value', 'Unless said', 'Meaning'], rows);
    const marks = /(<!-- values -->\n)[^]*(<!-- end of values -->)/;
    const readme = read(chart, 'README.md');
    expect(readme).toMatch(marks);
    await expect(
      readme.replace(
        marks,
        (_all, before: string, after: string) => `${before}\n${table}\n\n${after}`,
      ),
    ).toMatchFileSnapshot(join(charts, chart, 'README.md'));
  },
);

test.each(names)('every value of %s is described', (chart) => {
  expect(valuesOfChart(chart).filter(({ meaning }) => meaning === '')).toEqual([]);
});

test.each(names)('what values.yaml of %s presets, its schema knows', (chart) => {
  const known = new Set(valuesOfChart(chart).map(({ path }) => path));
  const preset = z.record(z.string(), z.unknown()).parse(defaultsOf(chart));
  expect(Object.keys(preset).filter((name) => !known.has(name))).toEqual([]);
});

test('the schema of a cell’s values is that of its resource', () => {
  const { properties, required } = z
    .object({ properties: z.record(z.string(), z.unknown()), required: z.array(z.string()) })
    .parse(schemaOf('domicile-cell'));
  const core = z.toJSONSchema(cellSpecSchema, { target: 'draft-7', io: 'input' });
  const { name: _, ...ofSpec } = properties;
  expect(required).toEqual(core.required);
  expect(bare(ofSpec)).toEqual(bare({ ...core.properties, country: ofSpec['country'] }));
});

/** Without words, and with a choice spelled one way. */
function bare(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(bare);
  const read_ = z.record(z.string(), z.unknown()).safeParse(schema);
  if (!read_.success) return schema;
  const { anyOf, ...rest } = read_.data;
  const choice = z.array(z.object({ const: z.number() })).safeParse(anyOf);
  const all = choice.success ? { ...rest, enum: choice.data.map((one) => one.const) } : rest;
  const entries = Object.entries(all)
    .filter(([key, value]) => key !== 'description' || typeof value !== 'string')
    .map(([key, value]) => [
      key,
      key === 'propertyNames' ? { pattern: patternOf(value) } : bare(value),
    ]);
  return Object.fromEntries(entries);
}

function patternOf(value: unknown): string | undefined {
  return z.object({ pattern: z.string().optional() }).parse(value).pattern;
}

test('the presets of a cell are those of its resource', () => {
  const minimal = {
    country: 'DE',
    regions: ['europe-west3'],
    kafka: { bootstrap: 'kafka:9093' },
    lake: {
      store: 'gcs',
      region: 'europe-west3',
      landingBucket: 'acme-landing',
      servingBucket: 'acme-serving',
    },
    api: { issuer: 'https://id.example/', jwks: 'https://id.example/jwks' },
  };
  const { name: _, ...preset } = z
    .record(z.string(), z.unknown())
    .parse(defaultsOf('domicile-cell'));
  expect(cellSpecSchema.parse(merged(preset, minimal))).toEqual(cellSpecSchema.parse(minimal));
});

function merged(below: unknown, above: unknown): unknown {
  const [low, high] = [below, above].map((one) => z.record(z.string(), z.unknown()).safeParse(one));
  if (!low?.success || !high?.success) return above ?? below;
  const keys = new Set([...Object.keys(low.data), ...Object.keys(high.data)]);
  return Object.fromEntries([...keys].map((key) => [key, merged(low.data[key], high.data[key])]));
}

test.each(['domicile-operator', 'domicile-cell', 'domicile-buildings'])(
  '%s knows the packs of regions/',
  async (chart) => {
    const folder = join(charts, '../regions');
    const packs = readdirSync(folder)
      .filter((file) => file.endsWith('.yaml'))
      .map((file) => parseCountryPack(parse(readFileSync(join(folder, file), 'utf8'))));
    const lines = packs.map(({ country, regions }) => [country, ...regions].join(' ')).toSorted();
    const text = `{{/* Country packs: each country and where its cells may stand. Written by the test of the charts. */}}
{{- define "domicile.packs" -}}
${lines.join('\n')}
{{- end }}

{{/* The regions of each country that has a pack, as JSON. */}}
{{- define "domicile.regionsOfPacks" -}}
{{- $packs := dict }}
{{- range include "domicile.packs" . | trim | splitList "\\n" }}
  {{- $words := splitList " " . }}
  {{- $_ := set $packs (first $words) (rest $words) }}
{{- end }}
{{- toJson $packs }}
{{- end }}
`;
    await expect(text).toMatchFileSnapshot(join(charts, chart, 'templates/_packs.tpl'));
  },
);

test('the rules of places are the same in both charts', () => {
  expect(read('domicile-operator/templates/_places.tpl')).toBe(
    read('domicile-cell/templates/_places.tpl'),
  );
});

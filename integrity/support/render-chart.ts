import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type HelmOptions, type HelmOutcome, runHelm } from '@domicile/devkit/helm-tool.ts';
import { parseAllDocuments, stringify } from 'yaml';
import { z } from 'zod';

export type HelmVersion = NonNullable<HelmOptions['version']>;

export const charts = join(import.meta.dirname, '../../charts');

/** What a chart renders, without its tests unless they are asked for. */
export async function renderChart(
  chart: string,
  values: object,
  { more = [], ...options }: HelmOptions & { readonly more?: readonly string[] } = {},
): Promise<HelmOutcome> {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'values-'));
  const file = join(folder.path, 'values.yaml');
  // Helm reads YAML 1.1, in which NO is a boolean unless it is quoted.
  writeFileSync(file, stringify(values, { version: '1.1' }));
  const named = [chart, join(charts, chart), '--namespace', 'domicile-system'];
  return await runHelm(['template', ...named, '--skip-tests', '--values', file, ...more], options);
}

const kubeObject = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({
    name: z.string(),
    namespace: z.string().optional(),
    labels: z.record(z.string(), z.string()).optional(),
    annotations: z.record(z.string(), z.string()).optional(),
  }),
});

export type RenderedObject = z.output<typeof kubeObject>;

/** The objects in what Helm printed. */
export function objectsOf(rendered: string): RenderedObject[] {
  return parseAllDocuments(rendered)
    .map((document) => document.toJS())
    .filter((object) => object !== null)
    .map((object) => kubeObject.parse(object));
}

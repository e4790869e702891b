import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseCellSpec } from '@domicile/core/resources/cell.ts';
import { recordOfSpec } from '@domicile/core/values.ts';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';

const manifest = z.object({ metadata: z.object({ name: z.string() }), spec: z.unknown() });

function example(name: string) {
  const file = join(import.meta.dirname, '../../../examples/kubernetes', name);
  return manifest.parse(parse(readFileSync(file, 'utf8')));
}

test('the example of a Cell is read by the operator', () => {
  expect(parseCellSpec(example('cell.yaml').spec).country).toBe('DE');
});

test('the example of a Building has the devices that its rooms say', () => {
  const { metadata, spec } = example('building.yaml');
  expect(recordOfSpec(metadata.name, spec, 'DE').devices).toHaveLength(100);
});

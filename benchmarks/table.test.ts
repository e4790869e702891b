import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { benchmarksDocument } from './table.ts';

// `docs/BENCHMARKS.md` is made of the lanes' JSON: `node benchmarks/table.ts`.

const docs = join(import.meta.dirname, '../docs');

test('the page of figures is what the lanes wrote', () => {
  const written = readFileSync(join(docs, 'BENCHMARKS.md'), 'utf8');
  expect(written).toBe(benchmarksDocument(join(docs, 'benchmarks')));
});

test('a lane that was not run has no section', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lanes-'));
  try {
    expect(benchmarksDocument(folder)).not.toContain('## ');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

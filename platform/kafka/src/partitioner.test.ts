import { readFileSync } from 'node:fs';
import { compatibilityPartitioner, defaultPartitioner } from '@platformatic/kafka';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { javaPartitioner, murmur2, partitionOf } from './partitioner.ts';

/** [hex key, murmur2, partitions of `counts`], printed by PartitionerVectors.java with kafka-clients 4.2.0. */
const vectors = z
  .array(z.tuple([z.string(), z.number()], z.number()))
  .parse(
    JSON.parse(
      readFileSync(new URL('../golden/partitioner-vectors.json', import.meta.url), 'utf8'),
    ),
  );
const counts = [3, 6, 7, 12, 50];

test("murmur2 and the partition are Java's for every vector", () => {
  expect(vectors).toHaveLength(200);
  for (const [hex, hash, ...partitions] of vectors) {
    const key = Buffer.from(hex, 'hex');
    expect(murmur2(key)).toBe(hash);
    expect(counts.map((count) => partitionOf(key, count))).toEqual(partitions);
    expect(counts.map((count) => javaPartitioner(undefined, key) % count)).toEqual(partitions);
  }
});

test("the client's compatibilityPartitioner agrees with Java, its default partitioner does not", () => {
  const differs = { default: 0, compatibility: 0 };
  for (const [hex, , ...partitions] of vectors) {
    const key = Buffer.from(hex, 'hex');
    for (const [index, count] of counts.entries()) {
      const message = { topic: 't', key };
      if (defaultPartitioner(message, key) % count !== partitions[index]) differs.default += 1;
      if (compatibilityPartitioner(message, key) % count !== partitions[index])
        differs.compatibility += 1;
    }
  }
  expect(differs.compatibility).toBe(0);
  expect(differs.default).toBeGreaterThan(300);
});

test('records without a key go round robin', () => {
  const found = new Set(
    Array.from({ length: 12 }, () => javaPartitioner(undefined, undefined) % 6),
  );
  expect(found.size).toBe(6);
});

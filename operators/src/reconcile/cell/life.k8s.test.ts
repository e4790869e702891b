import { afterAll, beforeAll, expect, test } from 'vitest';
import { CellHouse } from './test-cell-house.ts';

let house: CellHouse;

beforeAll(async () => {
  house = await CellHouse.start();
});
afterAll(() => house[Symbol.asyncDispose]());

test('a Cell becomes ready: policies, secrets, Kafka, buckets and processes', async () => {
  await house.bed.client.apply(house.manifest());
  await house.until('Ready', 'True');
  expect(await house.status()).toMatchObject({ observedGeneration: 1 });
});

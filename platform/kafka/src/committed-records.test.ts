import type { RecordsBatch } from '@platformatic/kafka';
import { expect, test } from 'vitest';
import { committedBatches } from './committed-records.ts';

const DATA = 0x10;
const MARKER = 0x30;

function batch(
  firstOffset: bigint,
  producerId: bigint,
  attributes = DATA,
  [count, commit]: [number, boolean] = [10, true],
): RecordsBatch {
  const key = Buffer.from([0, 0, 0, commit ? 1 : 0]);
  const record = {
    length: 0,
    attributes: 0,
    timestampDelta: 0n,
    offsetDelta: 0,
    key,
    value: null,
    headers: [],
  };
  const rest = {
    length: 0,
    partitionLeaderEpoch: 0,
    magic: 2,
    crc: 0,
    firstTimestamp: 0n,
    maxTimestamp: 0n,
    producerEpoch: 0,
    firstSequence: 0,
  };
  return {
    ...rest,
    firstOffset,
    producerId,
    attributes,
    lastOffsetDelta: count - 1,
    records: [record],
  };
}
const marker = (offset: bigint, producerId: bigint, commit: boolean): RecordsBatch =>
  batch(offset, producerId, MARKER, [1, commit]);

function visible(records: RecordsBatch[], aborted: [bigint, bigint][]): bigint[] {
  const abortedTransactions = aborted.map(([producerId, firstOffset]) => ({
    producerId,
    firstOffset,
  }));
  const partition = {
    partitionIndex: 0,
    errorCode: 0,
    highWatermark: 0n,
    lastStableOffset: 0n,
    logStartOffset: 0n,
    preferredReadReplica: -1,
    abortedTransactions,
    records,
  };
  return committedBatches(partition).map(({ firstOffset }) => firstOffset);
}

test('two aborted transactions of one producer around a committed one', () => {
  const records = [
    batch(0n, 1n),
    marker(10n, 1n, false),
    batch(11n, 1n),
    marker(21n, 1n, true),
    batch(22n, 1n),
    marker(32n, 1n, false),
  ];
  const aborted: [bigint, bigint][] = [
    [1n, 22n],
    [1n, 0n],
  ];
  expect(visible(records, aborted)).toEqual([11n]);
});

test('an aborted transaction whose marker is not in the response', () => {
  const records = [batch(0n, 1n), batch(10n, 2n), batch(20n, 1n)];
  expect(visible(records, [[1n, 0n]])).toEqual([10n]);
});

test('a response that begins in the middle of an aborted transaction', () => {
  const records = [batch(50n, 1n), marker(60n, 1n, false), batch(61n, 1n)];
  expect(visible(records, [[1n, 0n]])).toEqual([61n]);
});

test('plain records pass, whatever their producer aborted', () => {
  expect(visible([batch(0n, 1n, 0), batch(10n, 1n)], [[1n, 10n]])).toEqual([0n]);
});

test('what is committed between an aborted transaction and a later marker without records stays', () => {
  const records = [
    batch(0n, 1n),
    marker(10n, 1n, false),
    batch(11n, 1n),
    marker(21n, 1n, true),
    marker(22n, 1n, false),
  ];
  expect(visible(records, [[1n, 0n]])).toEqual([11n]);
});

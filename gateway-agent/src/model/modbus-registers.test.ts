import { expect, test } from 'vitest';
import {
  decodeRegister,
  encodeRegister,
  planReads,
  registerMapSchema,
  type RegisterMap,
} from './modbus-registers.ts';
import { TestRandom } from './test-random.ts';
import type { MetricValue } from './value-rule.ts';

const map = (registers: object): RegisterMap => registerMapSchema.parse(registers);

function decoded(register: object, words: number[]) {
  const one = map({ value: { address: 0, ...register } })['value'];
  if (!one) throw new Error('no register');
  const count = words.length;
  return decodeRegister(one, { table: one.table, start: 0, count, metrics: ['value'] }, words);
}

test.each<[object, number[], MetricValue]>([
  [{}, [0xffff], 65_535],
  [{ type: 'int16', scale: 0.1 }, [0xff38], -20],
  [{ type: 'int32' }, [0xffff, 0xfffe], -2],
  [{ type: 'uint32', words: 'little' }, [0x0001, 0x0002], 0x2_0001],
  [{ type: 'float32' }, [0x41ab, 0x3333], 21.4],
  [{ type: 'float32', words: 'little', from: 'kW', to: 'W' }, [0x3333, 0x41ab], 21_400],
  [{ type: 'bool', bit: 3 }, [0b1000], true],
  [{ type: 'bitfield', bit: 4, bits: 3 }, [0b101_0000], 5],
  [{ table: 'coil' }, [1], true],
  [{ true: [2], false: [1] }, [1], false],
])('%j in %j is %j', (register, words, value) => {
  expect(decoded(register, words)).toEqual({ value });
});

test('neighbours are read together, and far ones, other tables and long stretches are not', () => {
  const reads = planReads(
    map({
      e: { address: 140, type: 'uint32' },
      a: { address: 0, type: 'float32' },
      b: { address: 2 },
      c: { address: 11 },
      d: { address: 20 },
      x: { address: 0, table: 'input' },
      y: { address: 5, table: 'coil' },
    }),
  );
  expect(reads).toEqual([
    { table: 'coil', start: 5, count: 1, metrics: ['y'] },
    { table: 'holding', start: 0, count: 21, metrics: ['a', 'b', 'c', 'd'] },
    { table: 'holding', start: 140, count: 2, metrics: ['e'] },
    { table: 'input', start: 0, count: 1, metrics: ['x'] },
  ]);
});

test('a plan reads every register within the bounds of the protocol', () => {
  const random = new TestRandom(20_261_127);
  for (let round = 0; round < 200; round += 1) {
    const types = ['uint16', 'float32', 'int32'];
    const registers = Object.fromEntries(
      Array.from({ length: 1 + random.below(60) }, (_, index) => [
        `m${index}`,
        { address: random.below(500), type: types[random.below(3)] },
      ]),
    );
    const reads = planReads(map(registers));
    expect(reads.flatMap(({ metrics }) => metrics).toSorted()).toEqual(
      Object.keys(registers).toSorted(),
    );
    for (const { start, count, metrics } of reads) {
      expect(count, `seed 20261127 round ${round}`).toBeLessThanOrEqual(125);
      for (const metric of metrics) {
        const one = registers[metric];
        const size = one?.type === 'uint16' ? 1 : 2;
        expect(one?.address).toBeGreaterThanOrEqual(start);
        expect((one?.address ?? 0) + size).toBeLessThanOrEqual(start + count);
      }
    }
  }
});

test('what is written is what is read', () => {
  const writable = map({
    a: { address: 0, type: 'int16', scale: 0.1, write: true },
    b: { address: 0, type: 'uint32', words: 'little', write: true },
    c: { address: 0, type: 'float32', write: true },
    d: { address: 0, type: 'int32', write: true },
    e: { address: 0, table: 'coil', write: true },
    f: { address: 0, true: [255], false: [0], write: true },
  });
  const values = { a: -20.5, b: 4_000_000_000, c: 21.4, d: -70_000, e: true, f: true };
  for (const [metric, value] of Object.entries(values)) {
    const one = writable[metric];
    const encoded = one && encodeRegister(one, value);
    if (!encoded || !('words' in encoded)) throw new Error(`${metric} cannot be written`);
    const { words } = encoded;
    const read = { table: one.table, start: 0, count: words.length, metrics: [metric] };
    expect(decodeRegister(one, read, words)).toEqual({ value });
  }
  const { a, e } = writable;
  expect(a && encodeRegister(a, 4000)).toEqual({ fault: 'does not fit its register' });
  expect(a && encodeRegister(a, 'warm')).toEqual({ fault: 'must be a number' });
  expect(e && encodeRegister(e, 1)).toEqual({ fault: 'must be true or false' });
});

test('a map says where it is wrong', () => {
  const read = registerMapSchema.safeParse({
    Temp: { address: 0 },
    a: { address: 0, table: 'coil', type: 'int16' },
    b: { address: 0, table: 'input', write: true },
    c: { address: 0, type: 'bitfield', bit: 15, bits: 2 },
    d: { address: 65_535, type: 'float32' },
    e: { address: 0, type: 'bool', write: true },
  });
  expect(read.error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)).toEqual([
    'Temp: is no metric name',
    'a: a coil is a bool',
    'b: a device cannot be told by input registers',
    'c: a register has 16 bits',
    'd: ends behind the last register',
    'e: a part of a register cannot be written',
  ]);
});

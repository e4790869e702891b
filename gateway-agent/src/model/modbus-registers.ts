import { isMetricName } from '@domicile/core/identities.ts';
import { z } from 'zod';
import {
  type MetricValue,
  faultsOfRule,
  lineOf,
  offLine,
  valueOf,
  valueRuleFields,
} from './value-rule.ts';

/** The four tables of a Modbus device. */
export type RegisterTable = 'holding' | 'input' | 'coil' | 'discrete';

const sizes = { bool: 1, int16: 1, uint16: 1, bitfield: 1, int32: 2, uint32: 2, float32: 2 };

const register = z.strictObject({
  table: z.enum(['holding', 'input', 'coil', 'discrete']).default('holding'),
  address: z.number().int().min(0).max(65_535).describe('From 0, as it goes over the wire.'),
  type: z
    .enum(['bool', 'int16', 'uint16', 'bitfield', 'int32', 'uint32', 'float32'])
    .optional()
    .describe('Default uint16; bool for coils and discrete inputs.'),
  words: z.enum(['big', 'little']).default('big').describe('Which word of two comes first.'),
  bit: z.number().int().min(0).max(15).default(0).describe('Lowest bit of a bool or bitfield.'),
  bits: z.number().int().min(1).max(16).default(1).describe('Bits of a bitfield.'),
  write: z.boolean().default(false).describe('A command may set it.'),
  multiple: z
    .boolean()
    .default(false)
    .describe('Write a single register by function 16, which some devices want.'),
  ...valueRuleFields,
});

export type Register = z.output<typeof register>;

/** Registers of a kind of device: metric, and where its value stands. */
export const registerMapSchema = z.record(z.string(), register).superRefine((map, context) => {
  if (Object.keys(map).length === 0) context.addIssue('needs at least one register');
  for (const [metric, one] of Object.entries(map)) {
    const faults = faultsIn(one);
    if (!isMetricName(metric)) faults.push('is no metric name');
    for (const message of faults) context.addIssue({ code: 'custom', path: [metric], message });
  }
});

export type RegisterMap = Readonly<Record<string, Register>>;

function faultsIn(one: Register): string[] {
  const { table, type, bit, bits, write, address } = one;
  const faults = faultsOfRule(ruleOf(one));
  const isBits = table === 'coil' || table === 'discrete';
  if (isBits && type !== undefined && type !== 'bool') faults.push(`a ${table} is a bool`);
  if (write && (table === 'input' || table === 'discrete'))
    faults.push(`a device cannot be told by ${table} registers`);
  if (write && !isBits && (type === 'bool' || type === 'bitfield'))
    faults.push('a part of a register cannot be written');
  if (bit + bits > 16) faults.push('a register has 16 bits');
  if (address + sizeOf(one) > 65_536) faults.push('ends behind the last register');
  return faults;
}

export function typeOf({ table, type }: Register): NonNullable<Register['type']> {
  return type ?? (table === 'coil' || table === 'discrete' ? 'bool' : 'uint16');
}

function sizeOf(one: Register): number {
  return sizes[typeOf(one)];
}

function ruleOf({ as, scale, offset, from, to, true: yes, false: no }: Register) {
  return { as, scale, offset, from, to, true: yes, false: no };
}

/** One request: neighbours are read together. */
export interface RegisterRead {
  readonly table: RegisterTable;
  readonly start: number;
  readonly count: number;
  readonly metrics: readonly string[];
}

/** Registers that nobody asked for and that are read along, since a request costs more. */
const gapMax = 8;
/** Modbus application protocol 1.1b3, sections 6.1 to 6.4: 125 registers, 2,000 bits; a little below, as devices are. */
const countMax = { holding: 120, input: 120, coil: 1920, discrete: 1920 };

/** The fewest requests that read the map. */
export function planReads(map: RegisterMap): RegisterRead[] {
  const sorted = Object.entries(map).toSorted(
    ([, left], [, right]) => left.table.localeCompare(right.table) || left.address - right.address,
  );
  const reads: { table: RegisterTable; start: number; count: number; metrics: string[] }[] = [];
  for (const [metric, one] of sorted) {
    const end = one.address + sizeOf(one);
    const last = reads.at(-1);
    const joins =
      last?.table === one.table &&
      one.address <= last.start + last.count + gapMax &&
      end - last.start <= countMax[one.table];
    if (last && joins) {
      last.count = Math.max(last.count, end - last.start);
      last.metrics.push(metric);
    } else
      reads.push({
        table: one.table,
        start: one.address,
        count: end - one.address,
        metrics: [metric],
      });
  }
  return reads;
}

/** What a request answered: 16-bit words, or bits. */
export type RegisterWords = readonly number[];

export function decodeRegister(
  one: Register,
  read: RegisterRead,
  words: RegisterWords,
): { readonly value: MetricValue } | { readonly fault: string } {
  const at = one.address - read.start;
  const type = typeOf(one);
  const parts = words.slice(at, at + sizes[type]);
  if (parts.length < sizes[type]) return { fault: 'is not in the answer' };
  return valueOf(numberIn(one, parts), ruleOf(one));
}

function numberIn(one: Register, parts: RegisterWords): number | boolean {
  const view = new DataView(new ArrayBuffer(4));
  const ordered = one.words === 'big' ? parts : parts.toReversed();
  for (const [index, word] of ordered.entries()) view.setUint16(index * 2, word & 0xffff);
  switch (typeOf(one)) {
    case 'bool':
      return ((view.getUint16(0) >> one.bit) & 1) === 1;
    case 'bitfield':
      return (view.getUint16(0) >> one.bit) & (2 ** one.bits - 1);
    case 'int16':
      return view.getInt16(0);
    case 'int32':
      return view.getInt32(0);
    case 'uint32':
      return view.getUint32(0);
    case 'float32':
      return Number(view.getFloat32(0).toPrecision(7));
    case 'uint16':
    default:
      return view.getUint16(0);
  }
}

/** The words that set a register to a value; a `string` says why there are none. */
export function encodeRegister(
  one: Register,
  value: MetricValue,
): { readonly words: number[] } | { readonly fault: string } {
  const type = typeOf(one);
  if (type === 'bool' || one.true) return encodeWord(one, value);
  if (typeof value !== 'number') return { fault: 'must be a number' };
  const told = offLine(value, lineOf(ruleOf(one)));
  const view = new DataView(new ArrayBuffer(4));
  if (type === 'float32') view.setFloat32(0, told);
  else {
    const whole = Math.round(told);
    const [low, high] = bounds[type];
    if (whole < low || whole > high) return { fault: 'does not fit its register' };
    if (sizes[type] === 2) view.setUint32(0, whole >>> 0);
    else view.setUint16(0, whole & 0xffff);
  }
  const words = sizes[type] === 2 ? [view.getUint16(0), view.getUint16(2)] : [view.getUint16(0)];
  return { words: one.words === 'big' ? words : words.toReversed() };
}

const bounds = {
  int16: [-32_768, 32_767],
  uint16: [0, 65_535],
  bitfield: [0, 65_535],
  int32: [-2_147_483_648, 2_147_483_647],
  uint32: [0, 4_294_967_295],
} as const;

function encodeWord(one: Register, value: MetricValue) {
  if (typeof value !== 'boolean') return { fault: 'must be true or false' };
  const word = value ? (one.true?.[0] ?? 1) : (one.false?.[0] ?? 0);
  const number = typeof word === 'boolean' ? Number(word) : word;
  return typeof number === 'number' ? { words: [number] } : { fault: 'has no number in true' };
}

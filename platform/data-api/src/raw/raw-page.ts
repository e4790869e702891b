import type { DuckDBAppender, DuckDBConnection, DuckDBValue } from '@duckdb/node-api';
import { cursorText } from '../model/page.ts';
import type { RawFilter, RawKey, RawValue } from '../model/raw-rows.ts';
import { textLiteral } from './engine.ts';

/** Names in camel case, as they are answered, and the SQL that gives each from the columns of the landing zone. */
const columns = {
  building: 'building',
  floor: 'floor',
  room: 'room',
  device: 'device',
  metric: 'metric',
  unit: 'unit',
  measuredAt: 'measured_at',
  receivedAt: 'received_at',
  value: '"value"',
  text: '"text"',
  boot: 'boot',
  seq: 'seq',
  timeSource: 'time_source',
  kafkaPartition: 'kafka_partition',
  kafkaOffset: 'kafka_offset',
} as const;

const tailTable = `create temp table tail (
  building varchar, floor varchar, room varchar, device varchar, metric varchar, unit varchar,
  measured_us bigint, received_us bigint, "value" double, "text" varchar, boot varchar, seq bigint,
  time_source varchar, kafka_partition integer, kafka_offset bigint)`;

const tailColumns = Object.values(columns)
  .map((column) => {
    const micros = /^(\w+)_at$/.exec(column)?.[1];
    return micros === undefined ? column : `make_timestamptz(${micros}_us) as ${column}`;
  })
  .join(', ');

export interface PageQuestion extends RawFilter {
  readonly buildings: readonly string[];
  /** Paths of landed files. */
  readonly files: readonly string[];
  /** What the stream holds beyond them, filtered. */
  readonly tail: readonly RawValue[];
  readonly limit: number;
  readonly after: RawKey | undefined;
}

/** How a page that stands ready in the connection is read out, in its order. */
export interface PageReady {
  readonly next: string | null;
  /** `select` over it, with times as microseconds. */
  readonly selectMicros: string;
  /** `select` over it, with the types of a landed file. */
  readonly select: string;
}

/**
 * Gathers a page in a temporary table: landed files and tail in one order, by keys that are the same before and after
 * landing. Only the page is kept in memory, in columns.
 */
export async function preparePage(
  connection: DuckDBConnection,
  question: PageQuestion,
): Promise<PageReady> {
  const { limit, tail } = question;
  await connection.run(tailTable);
  await appendTail(connection, tail);
  const landed = landedPart(question);
  await connection.run(
    `create temp table page as
     select * from (${landed.sql}select ${tailColumns} from tail) where ${afterCondition(question.after)}
     order by measured_at, kafka_partition, kafka_offset, metric limit ${limit + 1}`,
    landed.values,
  );
  return {
    next: await nextOf(connection, limit),
    select: `select ${aliased(columns)} from page limit ${limit}`,
    selectMicros: `select ${aliased({
      ...columns,
      measuredAt: 'epoch_us(measured_at)',
      receivedAt: 'epoch_us(received_at)',
    })} from page limit ${limit}`,
  };
}

function aliased(of: Readonly<Record<string, string>>): string {
  return Object.entries(of)
    .map(([name, sql]) => `${sql} as "${name}"`)
    .join(', ');
}

/** What is read from files, to be followed by the tail; nothing without files, which `read_parquet` would refuse. */
function landedPart({ files, buildings, fromMs, toMs, devices, metrics }: PageQuestion) {
  const values: Record<string, DuckDBValue> = {};
  if (files.length === 0) return { sql: '', values };
  const among = (column: string, wanted: readonly string[]): string => {
    const names = wanted.map((one, index) => {
      const name = `${column}_${index}`;
      values[name] = one;
      return `$${name}`;
    });
    return `${column} in (${names.join(', ')})`;
  };
  const where = [
    among('building', buildings),
    `measured_at >= make_timestamptz(${fromMs * 1000})`,
    `measured_at < make_timestamptz(${toMs * 1000})`,
    ...(devices ? [among('device', devices)] : []),
    ...(metrics ? [among('metric', metrics)] : []),
  ].join(' and ');
  const list = Object.values(columns).join(', ');
  const paths = files.map(textLiteral).join(', ');
  const sql = `select ${list} from read_parquet([${paths}], hive_partitioning = false) where ${where} union all `;
  return { sql, values };
}

/** The parts of a cursor are numbers and a metric's name by its schema. */
function afterCondition(after: RawKey | undefined): string {
  if (!after) return 'true';
  const [us, partition, offset, metric] = after;
  return `measured_at >= make_timestamptz(${us}) and
    (measured_at, kafka_partition, kafka_offset, metric) > (make_timestamptz(${us}), ${partition}, ${offset}, ${textLiteral(metric)})`;
}

async function nextOf(connection: DuckDBConnection, limit: number): Promise<string | null> {
  const read = await connection.runAndReadAll(
    `select epoch_us(measured_at)::varchar, kafka_partition, kafka_offset::varchar, metric, (select count(*) from page)::integer
     from page limit 1 offset ${limit - 1}`,
  );
  const [us, partition, offset, metric, count] = read.getRows()[0] ?? [];
  if (typeof count !== 'number' || count <= limit) return null;
  return cursorText([String(us), Number(partition), String(offset), String(metric)]);
}

async function appendTail(connection: DuckDBConnection, tail: readonly RawValue[]): Promise<void> {
  if (tail.length === 0) return;
  const appender = await connection.createAppender('tail', null, 'temp');
  for (const value of tail) appendValue(appender, value);
  appender.closeSync();
}

function appendValue(appender: DuckDBAppender, row: RawValue): void {
  for (const text of [row.building, row.floor, row.room, row.device, row.metric, row.unit])
    appender.appendVarchar(text);
  appender.appendBigInt(row.measuredUs);
  appender.appendBigInt(row.receivedUs);
  if (row.value === null) appender.appendNull();
  else appender.appendDouble(row.value);
  for (const text of [row.text, row.boot])
    if (text === null) appender.appendNull();
    else appender.appendVarchar(text);
  if (row.seq === null) appender.appendNull();
  else appender.appendBigInt(BigInt(row.seq));
  appender.appendVarchar(row.timeSource);
  appender.appendInteger(row.partition);
  appender.appendBigInt(row.offset);
  appender.endRow();
}

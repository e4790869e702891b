/** A recording in memory: columns of equal length, one row a minute. */
export type Recording = Readonly<Record<string, Float64Array>>;

/** Reads what the occupancy recordings are: a header that leaves out the first column, then quoted or bare fields. */
export function parseRecording(texts: readonly string[]): Recording {
  const columns = new Map<string, number[]>();
  for (const text of texts) {
    const [head = '', ...lines] = text.split(/\r?\n/).filter((line) => line !== '');
    const names = fieldsOf(head);
    for (const line of lines) {
      const fields = fieldsOf(line);
      const values = fields.slice(fields.length - names.length);
      for (const [place, name] of names.entries()) {
        const column = columns.get(name) ?? [];
        column.push(Number(values[place]));
        columns.set(name, column);
      }
    }
  }
  return Object.fromEntries(
    [...columns].map(([name, values]) => [name, Float64Array.from(values)]),
  );
}

function fieldsOf(line: string): string[] {
  return line.split(',').map((field) => field.replaceAll('"', ''));
}

/** How a metric comes of the recording. `change` is true in the row in which the column changed. */
export interface MetricSource {
  readonly column: string;
  readonly as: 'number' | 'boolean' | 'change';
}

export interface ReplayTiming {
  /** One reading of each device per tick. */
  readonly everyMs: number;
  /** Recorded time that passes per time. */
  readonly speed: number;
  /** Rows of the recording are so far apart. */
  readonly rowMs: number;
}

/** Row of the recording that stands for a tick; the recording goes round. */
export function rowAt(
  tick: number,
  offsetRows: number,
  rows: number,
  timing: ReplayTiming,
): number {
  const { everyMs, speed, rowMs } = timing;
  return (offsetRows + Math.floor((tick * everyMs * speed) / rowMs)) % rows;
}

/** Where a room's stretch begins: rooms are spread over the recording, buildings begin elsewhere. */
export function stretchOf(building: string, room: number, rooms: number, rows: number): number {
  let hash = 2166136261;
  for (const character of building)
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 16777619) >>> 0;
  return (hash + Math.floor((room * rows) / rooms)) % rows;
}

export function valueAt(
  recording: Recording,
  row: number,
  { column, as }: MetricSource,
): number | boolean | undefined {
  const values = recording[column];
  const value = values?.[row];
  if (values === undefined || value === undefined || !Number.isFinite(value)) return undefined;
  if (as === 'number') return Number(value.toFixed(4));
  if (as === 'boolean') return value !== 0;
  return value !== values[(row + values.length - 1) % values.length];
}

/** Where a replayed device stands: its run, and the tick of its run's number 0. */
export interface ReplayRun {
  readonly boot: string;
  readonly firstTick: number;
  /** The tick that comes next. */
  readonly nextTick: number;
}

const bootPattern = /^replay-(\d{1,15})$/;

/**
 * The position follows from what is in the store: number `n` of run `replay-{t}` is tick `t + n`, so a restart neither
 * repeats nor leaves out. After an absence longer than the history a new run begins.
 */
export function replayRun(
  passed: { readonly boot: string; readonly next: number } | undefined,
  { nowTick, historyTicks }: { nowTick: number; historyTicks: number },
): ReplayRun {
  const oldest = nowTick - historyTicks;
  const first = bootPattern.exec(passed?.boot ?? '')?.[1];
  if (passed && first !== undefined) {
    const nextTick = Number(first) + passed.next;
    if (nextTick >= oldest) return { boot: passed.boot, firstTick: Number(first), nextTick };
  }
  return { boot: `replay-${oldest}`, firstTick: oldest, nextTick: oldest };
}

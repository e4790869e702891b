import type { Series } from './series.ts';

interface Size {
  readonly width: number;
  readonly height: number;
}

interface Paths {
  /** SVG path data; empty without two points to join. */
  readonly line: string;
  readonly band: string;
}

const marginPx = 3;

/** The series in a box: a line of averages that breaks at gaps, and the band between minimum and maximum. */
export function sparklinePaths(series: Series, { width, height }: Size): Paths {
  const runs = runsOf(series);
  const points = runs.flat();
  if (points.length < 2) return { line: '', band: '' };
  const begin = series.starts[0] ?? 0;
  const end = series.starts.at(-1) ?? 1;
  const low = Math.min(...points.map(({ min }) => min));
  const high = Math.max(...points.map(({ max }) => max));
  const x = (start: number) => rounded(((start - begin) / (end - begin || 1)) * width);
  const y = (value: number) =>
    rounded(
      high > low
        ? height - marginPx - ((value - low) / (high - low)) * (height - 2 * marginPx)
        : height / 2,
    );
  return {
    line: runs
      .map((run) => {
        const along = run.map(({ start, avg }) => `${x(start)} ${y(avg)}`);
        // A line of no length is a dot, by its round ends.
        return `M${(along.length > 1 ? along : [...along, ...along]).join('L')}`;
      })
      .join(''),
    band: runs
      .map((run) => {
        const over = run.map(({ start, max }) => `${x(start)} ${y(max)}`);
        const back = run.toReversed().map(({ start, min }) => `${x(start)} ${y(min)}`);
        return `M${[...over, ...back].join('L')}Z`;
      })
      .join(''),
  };
}

interface Point {
  readonly start: number;
  readonly avg: number;
  readonly min: number;
  readonly max: number;
}

function runsOf(series: Series): Point[][] {
  const runs: Point[][] = [[]];
  series.starts.forEach((start, index) => {
    const avg = series.avg[index] ?? undefined;
    const run = runs.at(-1) ?? [];
    if (avg !== undefined)
      run.push({ start, avg, min: series.min[index] ?? avg, max: series.max[index] ?? avg });
    else if (run.length > 0) runs.push([]);
  });
  return runs.filter((run) => run.length > 0);
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}

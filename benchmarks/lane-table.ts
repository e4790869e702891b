/** How a lane of the page of figures is told. */
export interface Lane {
  readonly title: string;
  /** What is measured, and beside what. */
  readonly about: string;
  readonly table: readonly (readonly string[])[];
  /** Aim and what was reached, one sentence each. */
  readonly verdicts: readonly string[];
  /** Absent: `make bench LANE={title}`. */
  readonly command?: string;
}

/** Columns as wide as the formatter makes them. */
export function tableOf(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(3, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [head = [], ...rest] = rows;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rest.map(line)].join('\n');
}

export function verdict(aim: string, isReached: boolean, reached: string): string {
  return `Aim: ${aim}. ${isReached ? 'Reached' : '**Missed**'}: ${reached}.`;
}

export function whole(value: number): string {
  return Math.round(value).toLocaleString('en');
}

export function ratio(ours: number, theirs: number): string {
  return (ours / theirs).toFixed(2);
}

export function percent(share = 0): string {
  return `${Math.round(share * 100)} %`;
}

/** How a column of ours stands in a file. `timestamp`: Unix microseconds, UTC. */
export type ColumnType = 'utf8' | 'double' | 'int32' | 'int64' | 'timestamp';

export interface ColumnSpec {
  readonly name: string;
  readonly type: ColumnType;
  readonly nullable: boolean;
  /** Differences instead of values: for integers that grow along the rows. */
  readonly delta?: boolean;
  /** Without bounds in the footer: for long texts. */
  readonly unbounded?: boolean;
}

/** Values of one column. Timestamps and int64 as safe integers, or bigints beyond them. */
export type ColumnValues = readonly (string | number | bigint | null)[];

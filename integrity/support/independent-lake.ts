import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';

/**
 * Reads Parquet by DuckDB, which shares no code with the writer. `{files}` in the query is the landed files of a stream,
 * `{files with names}` the same with a column `filename`. */
export async function queryLanding(
  lakeDir: string,
  query: string,
  stream: 'readings' | 'quarantine' = 'readings',
): Promise<Record<string, string | number | null>[]> {
  const folder = join(lakeDir, 'landing', stream, 'v1');
  if (!existsSync(folder)) return [];
  const instance = await DuckDBInstance.create(':memory:', { threads: '2' });
  const connection = await instance.connect();
  try {
    await connection.run("set TimeZone = 'UTC'");
    const read = (options: string) => `read_parquet('${folder}/dt=*/**/*.parquet'${options})`;
    const reader = await connection.runAndReadAll(
      query
        .replaceAll('{files}', read(', hive_partitioning = false'))
        .replaceAll('{files with names}', read(', hive_partitioning = false, filename = true')),
    );
    return reader
      .getRowObjectsJson()
      .map((row) =>
        Object.fromEntries(
          Object.entries(row).map(([name, value]) => [
            name,
            typeof value === 'number' || typeof value === 'string' || value === null
              ? value
              : JSON.stringify(value),
          ]),
        ),
      );
  } catch (error) {
    if (String(error).includes('No files found')) return [];
    throw error;
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

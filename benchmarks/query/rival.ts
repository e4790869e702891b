/** DuckDB alone on the same files: runs a statement over and over and tells how long each took, rows to JSON included. */
import { DuckDBInstance } from '@duckdb/node-api';
import { z } from 'zod';

const asked = z.object({ sql: z.string(), forMs: z.number() });

const instance = await DuckDBInstance.create(':memory:', { threads: '1', memory_limit: '1024MB' });
const connection = await instance.connect();
await connection.run("set TimeZone = 'UTC'");

process.on('message', (message) => {
  const { sql, forMs } = asked.parse(message);
  void run(sql, forMs).then((answer) => process.send?.(answer));
});
process.send?.({ ready: true });

async function run(sql: string, forMs: number) {
  const latenciesMs: number[] = [];
  let bytes = 0;
  let rows = 0;
  for (const until = performance.now() + forMs; performance.now() < until;) {
    const from = performance.now();
    const read = await connection.runAndReadAll(sql);
    const objects = read.getRowObjectsJson();
    bytes = JSON.stringify(objects).length;
    rows = objects.length;
    latenciesMs.push(performance.now() - from);
  }
  return { latenciesMs, bytes, rows };
}

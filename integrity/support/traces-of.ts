import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseCountryCode } from '@domicile/core/identities.ts';
import { streamNames, streams, topicOf } from '@domicile/core/streams.ts';
import { DuckDBInstance } from '@duckdb/node-api';
import { BucketFiles } from './bucket-files.ts';
import { auditorOf, decodedKafka } from './decoded-kafka.ts';
import type { OnboardedCountry } from './onboarded-country.ts';

/** Objects of both buckets in which a building is named: rows by DuckDB, all else as text. What was asked for is left out. */
export async function tracesInBuckets(up: OnboardedCountry, building: string): Promise<string[]> {
  const files = await BucketFiles.open(up.country.buckets);
  const folder = join(up.dir, 'traces');
  const found: string[] = [];
  for (const bucket of Object.values(up.buckets)) {
    await files.copy(bucket, folder);
    for (const name of globSync('**/*.*', { cwd: folder })) {
      if (/^(?:exports|erasures)\//.test(name)) continue;
      const path = join(folder, name);
      const isNamed = name.endsWith('.parquet')
        ? (await rowsOf(path, building)) > 0
        : (await readFile(path, 'utf8')).includes(building);
      if (isNamed) found.push(`${bucket}/${name}`);
    }
  }
  return found;
}

async function rowsOf(path: string, building: string): Promise<number> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await instance.connect();
  try {
    const query = `select count(*)::int from read_parquet('${path}') where building = '${building}'`;
    const [[count] = []] = (await connection.runAndReadAll(query)).getRows();
    return Number(count);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** Records in which a building is named once the retention of the streams has passed, which is not waited for: newest ones by their key. */
export async function tracesInKafka(up: OnboardedCountry, building: string): Promise<string[]> {
  const client = up.country.kafka.admin();
  await expireStreams(up);
  const newest = new Map<string, string>();
  for (const record of (await decodedKafka(client)).split('\n')) {
    const [topic, key, value] = record.split(' ', 3);
    newest.set(key === 'null' ? record : `${topic} ${key}`, value === 'null' ? '' : record);
  }
  return [...newest.values()].filter((record) => record.includes(building));
}

async function expireStreams(up: OnboardedCountry): Promise<void> {
  const admin = auditorOf(up.country.kafka.admin()).admin();
  await admin.connect();
  const country = parseCountryCode(up.country.file.country);
  for (const stream of streamNames) {
    if (streams[stream].cleanup !== 'delete') continue;
    const topic = topicOf(country, stream);
    const ends = await admin.fetchTopicOffsets(topic);
    const partitions = ends.map(({ partition, high }) => ({ partition, offset: high }));
    await admin.deleteTopicRecords({ topic, partitions });
  }
  await admin.disconnect();
}

import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { routes } from '@domicile/api-gateway/model/routes.ts';
import { must } from '@domicile/core/invariants.ts';
import { topicOf } from '@domicile/core/streams.ts';
import { connectAsync } from 'mqtt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, until } from './support/api.ts';
import type { Outcomes, Reach } from './support/reach-for-raw.ts';
import { TestDemo } from './support/test-demo.ts';

// Promise 4: raw is the landing zone, `telemetry`, `backfill`, `readings`, and any history of single readings.

const building = 'de-7f3k';
/** Readings whose values nobody else has; the newest may be seen, the older ones may not. */
const older = [11.0625, 12.0625, 13.0625];
const newest = 14.0625;
let world: TestDemo;
beforeAll(async () => {
  // What is refused by a limit is not refused by right.
  const overrides = { DE: { 'api-gateway': { GATEWAY_LIMIT_REQUESTS: '100000' } } };
  world = await TestDemo.start({ countries: ['DE'], overrides });
  const { mqtt, mqttUsers, api, tokens } = await world.cell('de');
  const client = await connectAsync(mqtt, {
    username: building,
    password: mqttUsers[building] ?? '',
  });
  const startMs = withinAMinute(Date.now() - 3_000, 1_500);
  for (const [seq, temperature] of [...older, newest].entries())
    await client.publishAsync(
      `v1/${building}/r101-air/telemetry`,
      JSON.stringify({
        boot: 'secret-run',
        seq,
        at: startMs + seq * 500,
        values: { temperature },
      }),
      { qos: 1 },
    );
  await client.endAsync();
  const latest = () => ask(api, `/v1/buildings/${building}/latest`, { token: tokens.client });
  await until('the newest to be seen', async () => (await latest()).text(), {
    fits: (text) => text.includes(`${newest}`),
  });
  // A summary that knows two readings yet shows both, as its least and its greatest.
  const path = `/v1/buildings/${building}/summaries?${period}`;
  const summaries = () => ask(api, path, { token: tokens.client });
  await until('all of them to be summed up', async () => (await summaries()).text(), {
    fits: (text) => text.includes(`${newest}`) && !isRaw(text),
  });
  await until('a landed file', async () => landedFiles(world.cellDir('de')), {
    fits: (files) => files.length > 0,
  });
});
afterAll(() => world[Symbol.asyncDispose]());

/** So much earlier that so long a time has no minute's end in it: a summary of two readings shows both of them. */
function withinAMinute(startMs: number, lengthMs: number): number {
  const minuteOf = (timeMs: number) => Math.floor(timeMs / 60_000);
  return minuteOf(startMs) === minuteOf(startMs + lengthMs) ? startMs : startMs - lengthMs;
}

function landedFiles(cellDir: string): string[] {
  const folder = join(cellDir, 'lake/landing/readings/v1');
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => name.endsWith('.parquet')).map((name) => join(folder, name));
}

const filled: Readonly<Record<string, string>> = {
  '{building}': building,
  '{device}': 'r101-air',
  '{command}': 'c-1',
  '{name}': 'metric-correlation',
  '{api}': 'summaries',
  '{endpoint}': 'pt1m',
  '{path...}': 'v1/latest.json',
};
const pathOf = (pattern: string) =>
  pattern.replaceAll(/\{[a-z.]+\}/g, (parameter) => filled[parameter] ?? parameter);
const period = `from=${new Date(Date.now() - 3_600_000).toISOString()}&to=${new Date(Date.now() + 3_600_000).toISOString()}`;
const queries = [
  '',
  `?${period}`,
  `?${period}&building=${building}&interval=PT1M&level=device&metric=temperature&limit=1000`,
  `?${period}&building=${building}&device=r101-air&interval=PT0.5S&level=reading`,
];
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
const crafted = [
  `/v1/data/landing/readings/v1/latest.json`,
  `/v1/data/../landing/readings/v1/_manifest/00000/0.json`,
  `/v1/data/summaries/pt1m/..%2f..%2f..%2flanding/readings/v1/_manifest`,
  `/v1/data/summaries/pt1m/v1/%2e%2e/%2e%2e/%2e%2e/landing`,
  `//v1/raw/readings?building=${building}&${period}`,
  `/v1/RAW/readings?building=${building}&${period}`,
  `/v1/raw%2freadings?building=${building}&${period}`,
  `/v1/buildings/${building}/..%2f..%2fraw/readings?${period}`,
  `/v1/buildings/${building}/readings?${period}`,
  `/v1/buildings/${building}/latest?history=true&limit=100`,
];

/** A history of readings would show two of the older ones, or one beside its number. */
function isRaw(text: string): boolean {
  return (
    older.filter((value) => text.includes(`${value}`)).length > 1 ||
    text.includes('secret-run","seq"')
  );
}

test.each(['client', 'otherClient'] as const)(
  'no route and no method gives raw data to a token of %s',
  async (role) => {
    const { api, tokens } = await world.cell('de');
    const paths = [
      ...routes
        .filter(({ isStream }) => isStream !== true)
        .flatMap(({ path }) => queries.map((query) => `${pathOf(path)}${query}`)),
      ...crafted,
    ];
    const leaks: string[] = [];
    const reached: string[] = [];
    const limited: string[] = [];
    for (const path of paths) {
      for (const method of methods) {
        const response = await ask(api, path, { method, token: tokens[role] });
        const text = await response.text();
        if (isRaw(text)) leaks.push(`${method} ${path}`);
        if (response.status === 429) limited.push(`${method} ${path}`);
        if (/^\/v1\/(raw|analysis)/.test(path) && response.ok && method !== 'OPTIONS')
          reached.push(`${method} ${path}`);
      }
    }
    expect(leaks).toEqual([]);
    expect(reached).toEqual([]);
    expect(limited).toEqual([]);
  },
);

test('the same search finds raw data where it may be seen', async () => {
  const { api, tokens } = await world.cell('de');
  const path = `/v1/raw/readings?building=${building}&${period}`;
  const text = await until(
    'raw readings',
    async () => (await ask(api, path, { token: tokens.analyst })).text(),
    {
      fits: isRaw,
    },
  );
  expect(isRaw(text)).toBe(true);
});

test('live push shows newest values and summaries, not what came before', async () => {
  const { api, tokens } = await world.cell('de');
  const stop = AbortSignal.timeout(6_000);
  const response = await ask(api, `/v1/buildings/${building}/live`, {
    token: tokens.client,
    signal: stop,
  });
  let text = '';
  try {
    for await (const chunk of must(response.body, 'a stream has a body').pipeThrough(
      new TextDecoderStream(),
    ))
      text += chunk;
  } catch (error) {
    if (!stop.aborted) throw error;
  }
  expect(response.status).toBe(200);
  expect(isRaw(text)).toBe(false);
});

test('the serving process, told to, is refused by the operating system and by Kafka', async () => {
  const spec = world.demo.supervisor.spec('de-serving-api');
  const dir = world.cellDir('de');
  const [landed = ''] = landedFiles(dir);
  const servingFile = await until(
    'the serving layer',
    async () =>
      existsSync(join(dir, 'lake/serving'))
        ? readdirSync(join(dir, 'lake/serving'), { recursive: true, encoding: 'utf8' })
            .filter((name) => name.endsWith('latest.json'))
            .map((name) => join(dir, 'lake/serving', name))
        : [],
    { fits: (files) => files.length > 0 },
  );
  const topics = ['telemetry', 'backfill', 'readings', 'quarantine', 'summaries'] as const;
  const reach: Reach = {
    files: [
      landed,
      join(dir, 'secrets/kafka-raw'),
      join(dir, 'secrets/door-raw'),
      ...servingFile.slice(0, 1),
    ],
    topics: topics.map((name) => topicOf('DE', name)),
    client: {
      bootstrapBrokers: [spec.env['KAFKA_BOOTSTRAP'] ?? ''],
      sasl: {
        mechanism: 'SCRAM-SHA-256',
        username: spec.env['KAFKA_USER'] ?? '',
        password: readFileSync(spec.env['KAFKA_PASSWORD_FILE'] ?? '', 'utf8').trim(),
      },
    },
  };
  const script = join(import.meta.dirname, 'support/reach-for-raw.ts');
  const flags = [...(spec.nodeFlags ?? []), `--allow-fs-read=${script}`];
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...flags,
    script,
    JSON.stringify(reach),
  ]);
  const outcomes: Outcomes = JSON.parse(stdout);
  expect(Object.values(outcomes)).toEqual([
    'ERR_ACCESS_DENIED',
    'ERR_ACCESS_DENIED',
    'ERR_ACCESS_DENIED',
    expect.stringMatching(/^\d+ bytes$/),
    'TOPIC_AUTHORIZATION_FAILED',
    'TOPIC_AUTHORIZATION_FAILED',
    'TOPIC_AUTHORIZATION_FAILED',
    'TOPIC_AUTHORIZATION_FAILED',
    '8 ends',
  ]);
});

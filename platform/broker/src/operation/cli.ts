import { parseArgs } from 'node:util';
import { z } from 'zod';

const help = `domicile-broker: what an operator asks of a running broker

  node_modules/.bin/node platform/broker/src/operation/cli.ts <command> [options]

Commands
  status                        whether it is ready, and what it serves
  sessions                      sessions: key, state, since when, subscriptions, queue
  session KEY                   one session, with its filters
  kick KEY                      disconnect a client; its session stays

Options
  --admin URL                   a broker's admin port; again for each replica
                                (unless given: http://127.0.0.1:9090)
  --building ID                 sessions of this building alone
  --limit N                     at most so many of each replica (unless given: 100)
  --json                        the answer as JSON
  --help

KEY is {building}/{client id}. Exit codes: 0 done, 1 not done, 2 not understood.
`;

const usualAdmin = 'http://127.0.0.1:9090';
const timeoutMs = 10_000;
/** Rows of one request. */
const pageMax = 1000;

interface Asked {
  readonly admins: readonly string[];
  readonly building: string | undefined;
  readonly limit: number;
  readonly json: boolean;
  readonly key: string;
}

class Misunderstood extends Error {}
class Failed extends Error {}

const rowSchema = z.looseObject({
  key: z.string(),
  connected: z.boolean(),
  since: z.string().optional(),
  subscriptions: z.number(),
  inFlight: z.number().optional(),
  queued: z.number().optional(),
  replica: z.string(),
});
const pageSchema = z.object({ sessions: z.array(rowSchema), next: z.string().optional() });
const problemSchema = z.object({ detail: z.string() });
const statusSchema = z.looseObject({
  ready: z.boolean(),
  reasons: z.array(z.string()),
  startedAt: z.string(),
  country: z.string(),
  replica: z.string(),
  connections: z.number(),
  sessions: z.number(),
  inFlight: z.number(),
  ports: z.record(z.string(), z.number()),
});

const commands: Readonly<Record<string, (asked: Asked) => Promise<string>>> = {
  status,
  sessions,
  session: showSession,
  kick,
};

async function run(args: readonly string[]): Promise<string> {
  const { values, positionals } = read(args);
  const [name, ...rest] = positionals;
  if (values.help || name === undefined) return help;
  const command = commands[name];
  if (!command) throw new Misunderstood(`There is no command ${name}`);
  const needsKey = name === 'kick' || name === 'session';
  if (rest.length !== (needsKey ? 1 : 0)) {
    throw new Misunderstood(needsKey ? `${name} wants one KEY` : `${name} takes no further word`);
  }
  const limit = Number(values.limit ?? 100);
  if (!Number.isSafeInteger(limit) || limit < 1) throw new Misunderstood('--limit is a count');
  return command({
    admins: (values.admin ?? [usualAdmin]).map(adminOf),
    building: values.building,
    limit,
    json: values.json ?? false,
    key: rest[0] ?? '',
  });
}

function read(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        admin: { type: 'string', multiple: true },
        building: { type: 'string' },
        limit: { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new Misunderstood(error instanceof Error ? error.message : 'Bad options');
  }
}

function adminOf(url: string): string {
  if (!URL.canParse(url)) throw new Misunderstood(`--admin is a URL, as ${usualAdmin}`);
  return url.replace(/\/$/, '');
}

async function status({ admins, json }: Asked): Promise<string> {
  const all = await Promise.all(
    admins.map(async (admin) => statusSchema.parse(await ask(admin, '/status'))),
  );
  if (json) return jsonOf(all);
  return all
    .map((of) => {
      const ports = Object.entries(of.ports).map(([name, port]) => `${name} ${port}`);
      return [
        `${of.replica} (${of.country}): ${of.ready ? 'ready' : `not ready: ${of.reasons.join(', ')}`}`,
        `  since ${of.startedAt}, ${ports.join(', ')}`,
        `  ${of.connections} connections, ${of.sessions} sessions, ${of.inFlight} messages in flight`,
        '',
      ].join('\n');
    })
    .join('');
}

async function sessions(asked: Asked): Promise<string> {
  const found = await Promise.all(asked.admins.map((admin) => sessionsOf(admin, asked)));
  // Where replicas know each other's sessions, each is told once: as its own replica tells it.
  const rows = new Map<string, z.output<typeof rowSchema>>();
  for (const row of found.flat()) {
    const known = rows.get(row.key);
    if (!known || (known.inFlight === undefined && row.inFlight !== undefined)) {
      rows.set(row.key, row);
    }
  }
  const all = [...rows.values()].toSorted((one, other) => (one.key < other.key ? -1 : 1));
  if (asked.json) return jsonOf(all);
  const head = ['KEY', 'STATE', 'SINCE', 'SUBSCRIPTIONS', 'IN FLIGHT', 'QUEUED', 'REPLICA'];
  const lines = all.map((row) => [
    row.key,
    row.connected ? 'connected' : 'away',
    row.since ?? '',
    `${row.subscriptions}`,
    `${row.inFlight ?? ''}`,
    `${row.queued ?? ''}`,
    row.replica,
  ]);
  return table([head, ...lines]);
}

async function sessionsOf(admin: string, { building, limit }: Asked) {
  const rows: z.output<typeof rowSchema>[] = [];
  let cursor: string | undefined;
  do {
    const query = new URLSearchParams({ limit: `${Math.min(pageMax, limit - rows.length)}` });
    if (building !== undefined) query.set('building', building);
    if (cursor !== undefined) query.set('cursor', cursor);
    const page = pageSchema.parse(await ask(admin, `/sessions?${query.toString()}`));
    rows.push(...page.sessions);
    cursor = page.next;
  } while (cursor !== undefined && rows.length < limit);
  return rows;
}

async function showSession({ admins, key, json }: Asked): Promise<string> {
  const session = await firstOf(admins, (admin) => ask(admin, pathOf(key)));
  if (json) return jsonOf(session);
  const fields = z.record(z.string(), z.unknown()).parse(session);
  return table(
    Object.entries(fields).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(' ') : String(value),
    ]),
  );
}

async function kick({ admins, key, json }: Asked): Promise<string> {
  const answer = await firstOf(admins, (admin) => ask(admin, `${pathOf(key)}/kick`, 'POST'));
  return json ? jsonOf(answer) : `${plain(key)} was disconnected\n`;
}

/** The answer of the first replica that has one; otherwise what the last said. */
async function firstOf(
  admins: readonly string[],
  of: (admin: string) => Promise<unknown>,
): Promise<unknown> {
  let failure: unknown;
  for (const admin of admins) {
    try {
      return await of(admin);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

async function ask(admin: string, path: string, method = 'GET'): Promise<unknown> {
  const signal = AbortSignal.timeout(timeoutMs);
  const answer = await fetch(`${admin}${path}`, { method, signal }).catch((error: unknown) => {
    throw new Failed(
      `${admin} does not answer: is the broker up, and is this its admin port (ADMIN_PORT)?`,
      { cause: error },
    );
  });
  const body: unknown = await answer.json().catch(() => undefined);
  if (answer.ok) return body;
  const problem = problemSchema.safeParse(body);
  throw new Failed(problem.success ? problem.data.detail : `${admin} answered ${answer.status}`);
}

const pathOf = (key: string): string => `/sessions/${encodeURIComponent(key)}`;
const jsonOf = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** Client ids are strangers' words: what would move the cursor or colour the terminal is not printed. */
const plain = (text: string): string => text.replaceAll(/\p{C}/gu, '?');

function table(cells: readonly (readonly string[])[]): string {
  const lines = cells.map((line) => line.map(plain));
  const widths = (lines[0] ?? []).map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  );
  return lines
    .map((line) => line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

try {
  process.stdout.write(await run(process.argv.slice(2)));
} catch (error) {
  if (error instanceof Misunderstood) process.stderr.write(`${error.message}. --help says more.\n`);
  else if (error instanceof Failed) process.stderr.write(`${error.message}\n`);
  else process.stderr.write(`The answer is not a broker's: ${String(error)}\n`);
  process.exitCode = error instanceof Misunderstood ? 2 : 1;
}

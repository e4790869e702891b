import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { statusOfAgent } from '../cli/running-agent.ts';
import type { AgentConfig } from '../config.ts';
import { bytesText, countText } from '../model/amount-text.ts';
import { readStore, type Unreadable } from '../store/read-stores.ts';
import { nameOf, storesIn } from '../store/store-set.ts';
import { fail, type Finding, ok, reasonOf } from './finding.ts';

/** Whether an agent runs, and if not, whether its ports are free. */
export async function checkAgent(config: AgentConfig): Promise<Finding[]> {
  const report = await statusOfAgent(config).catch(() => undefined);
  if (report?.building === config.building && report.gateway === config.uplink.gateway)
    return [ok('agent', `runs since ${report.startedAt}`)];
  const findings = [ok('agent', 'does not run')];
  const wanted = [['admin', config.admin] as const, ...Object.entries(config.drivers)];
  for (const [name, at] of wanted) {
    if (typeof at !== 'object' || !('port' in at) || !('host' in at)) continue;
    const { host, port } = at;
    if (typeof host !== 'string' || typeof port !== 'number' || port === 0) continue;
    findings.push(await portFinding(name, host, port));
  }
  return findings;
}

async function portFinding(name: string, host: string, port: number): Promise<Finding> {
  const server = createServer();
  const where = `${host}:${port} for ${name}`;
  try {
    server.listen({ host, port });
    await once(server, 'listening');
    return ok('port', `${where} is free`);
  } catch (error) {
    const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
    return fail(
      'port',
      `${where}: ${isTaken ? 'another program has it' : reasonOf(error)}`,
      isTaken ? `see who: ss -ltnp 'sport = :${port}'` : 'is the address one of this machine?',
    );
  } finally {
    if (server.listening) server.close();
  }
}

/** As long as a person waits; a full store may take longer and is then judged by its first part. */
const readForMs = 20_000;

interface ReadSoFar {
  records: number;
  gaps: number;
  bytes: number;
  isWhole: boolean;
}

/** Reads the stores as far as the time goes; what was sent and removed between two records is no damage. */
export async function checkStore({ dataDirectory }: AgentConfig): Promise<Finding[]> {
  const read: ReadSoFar = { records: 0, gaps: 0, bytes: 0, isWhole: true };
  const until = performance.now() + readForMs;
  try {
    for (const store of await storesIn(dataDirectory))
      await readThrough(join(dataDirectory, nameOf(store)), read, until);
  } catch (error) {
    return [fail('store', reasonOf(error), 'see docs/operations/gateway.md, damage')];
  }
  return [storeFinding(read)];
}

async function readThrough(directory: string, read: ReadSoFar, until: number): Promise<void> {
  const missed = ({ from, to = from + 1 }: Unreadable) => {
    read.gaps += to - from;
  };
  for await (const { body } of readStore(directory, missed)) {
    if (performance.now() > until) {
      read.isWhole = false;
      return;
    }
    read.records += 1;
    read.bytes += body.length;
  }
}

function storeFinding({ records, gaps, bytes, isWhole }: ReadSoFar): Finding {
  const part = isWhole ? '' : 'the first part is read: ';
  const text = `${part}${countText(records)} records can be read, ${bytesText(bytes)} of readings`;
  if (gaps === 0) return ok('store', text);
  return fail(
    'store',
    `${text}; ${countText(gaps)} between them cannot`,
    'they stand in the account as unreadable; the disk may be failing: export, and change it',
  );
}

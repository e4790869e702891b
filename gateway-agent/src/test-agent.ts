import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog } from '@domicile/runtime/log.ts';
import { type AgentPorts, startAgent } from './agent.ts';
import { parseConfig } from './config.ts';
import type { Agent } from './running-agent.ts';

export const testBuilding = 'de-test';

export interface TestDirectory extends AsyncDisposable {
  readonly path: string;
}

export async function testDirectory(): Promise<TestDirectory> {
  const path = await mkdtemp(join(tmpdir(), 'gateway-agent-'));
  return {
    path,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 3 }),
  };
}

/** A configuration as its file has it, for `directory`. */
export function configText(
  url: string,
  {
    store = {},
    uplink = {},
    drivers = {},
    upgrade = {},
  }: Record<string, Record<string, unknown>> = {},
): string {
  return JSON.stringify({
    building: testBuilding,
    gateway: 'gw-1',
    dataDirectory: 'data',
    store: { checkpointEveryMs: 100, ...store },
    uplink: { url, reconnectMsMax: 300, connectTimeoutMs: 2000, drainTimeoutMs: 3000, ...uplink },
    drivers,
    upgrade,
  });
}

/** An agent in this process, on free ports. */
export async function testAgent(
  directory: string,
  text: string,
  ports: AgentPorts = {},
): Promise<Agent> {
  const silent = createLog('gateway-agent', { write: () => undefined });
  const config = {
    ...parseConfig(text, directory),
    admin: { host: '127.0.0.1', port: 0 },
    allowDrop: true,
  };
  return startAgent(config, rethrow, { log: silent, ...ports });
}

function rethrow(error: unknown): never {
  throw error;
}

/** Waits until `probe` gives something that is neither false nor undefined. */
export async function until<Value>(
  probe: () => Value | undefined | false,
  { timeoutMs = 20_000 } = {},
): Promise<Value> {
  const from = performance.now();
  for (;;) {
    const value = probe();
    if (value !== undefined && value !== false) return value;
    if (performance.now() - from > timeoutMs)
      throw new Error('Cannot wait longer: it did not come');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

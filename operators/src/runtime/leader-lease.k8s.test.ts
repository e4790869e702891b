import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KubeTestbed } from '@domicile/devkit/kube/kube-testbed.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { configMapKind } from '../model/kinds.ts';
import { Informer, informerTimes } from './informer.ts';
import { type TestClient, testClient } from './test-operator.ts';

let bed: KubeTestbed;
let client: TestClient;
beforeAll(async () => {
  bed = await KubeTestbed.start({ controllers: false, kubelet: 'none' });
  client = await testClient(bed.kubeconfigPath);
});
afterAll(async () => {
  client[Symbol.dispose]();
  await bed[Symbol.asyncDispose]();
});

const leaseMs = 3_000;
const renewMs = 500;
/** A lease, and what a new leader needs to begin. */
const takeOverMs = leaseMs + 5_000;

interface Written {
  readonly by: string;
  readonly term: number;
  /** Of the clock of this process. */
  readonly at: number;
}

const workSchema = z.object({ by: z.string(), term: z.coerce.number() });

/** Every state of the work in its order, by a watch. */
async function scene() {
  const namespace = `lease-${Math.random().toString(36).slice(2, 10)}`;
  await bed.client.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  const written: Written[] = [];
  const stop = new AbortController();
  const informer = new Informer({
    http: client.http,
    collection: { kind: configMapKind, namespace },
    times: informerTimes,
    changed: ({ object }) =>
      void written.push({ ...workSchema.parse(object['data']), at: performance.now() }),
  });
  const watching = informer.run(stop.signal);
  const processes: Replica[] = [];
  return {
    written,
    start(identity: string): Replica {
      const replica = new Replica([bed.kubeconfigPath, namespace, identity]);
      processes.push(replica);
      return replica;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(processes.map((replica) => replica.end('SIGKILL')));
      stop.abort();
      await watching;
    },
  };
}

class Replica {
  readonly #child: ChildProcess;
  readonly #said: string[] = [];

  constructor(parameters: readonly string[]) {
    const file = join(import.meta.dirname, 'test-lease-process.ts');
    const all = [file, ...parameters, `${leaseMs}`, `${renewMs}`];
    this.#child = spawn(process.execPath, all, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#child.stdout?.on('data', (chunk: Buffer) => this.#said.push(chunk.toString()));
  }

  /** Looks at the lease. */
  async waits(): Promise<void> {
    await waitFor('a replica that waits', () => this.#said.join('').includes('waits'));
    await sleep(renewMs);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  async end(name: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill(name);
    await ended;
  }
}

const lastBy = (written: readonly Written[]) => written.at(-1)?.by;

test('a leader that is killed is followed within its lease and five seconds', async () => {
  await using stage = await scene();
  const a = stage.start('a');
  await waitFor('a leads', () => lastBy(stage.written) === 'a');
  await stage.start('b').waits();
  const killedAt = performance.now();
  await a.end('SIGKILL');
  await waitFor('b works', () => lastBy(stage.written) === 'b', 30_000);
  const taken = stage.written.find(({ by }) => by === 'b');
  expect((taken?.at ?? 0) - killedAt).toBeLessThan(takeOverMs);
  expect(taken?.term).toBe(1);
});

test('a leader that is stopped past its lease has no effect when it goes on', async () => {
  await using stage = await scene();
  const a = stage.start('a');
  await waitFor('a leads', () => lastBy(stage.written) === 'a');
  const b = stage.start('b');
  await b.waits();
  a.signal('SIGSTOP');
  await waitFor('b works', () => lastBy(stage.written) === 'b', takeOverMs * 2);
  a.signal('SIGCONT');
  await sleep(2_000);
  b.signal('SIGSTOP');
  await waitFor('a works again', () => lastBy(stage.written) === 'a', takeOverMs * 2);
  b.signal('SIGCONT');
  await sleep(2_000);
  // Nobody wrote after another had begun.
  const turns = stage.written.map(({ by, term }) => `${term} ${by}`);
  expect(turns.filter((turn, index) => turn !== turns[index - 1])).toEqual(['0 a', '1 b', '2 a']);
});

test('a lease that is given back is taken at once', async () => {
  await using stage = await scene();
  const a = stage.start('a');
  await waitFor('a leads', () => lastBy(stage.written) === 'a');
  await stage.start('b').waits();
  const stoppedAt = performance.now();
  await a.end('SIGTERM');
  await waitFor('b works', () => lastBy(stage.written) === 'b');
  const taken = stage.written.find(({ by }) => by === 'b');
  expect((taken?.at ?? 0) - stoppedAt).toBeLessThan(leaseMs);
});

test('a leader survives that the API server is killed and starts again', async () => {
  await using stage = await scene();
  stage.start('a');
  await waitFor('a leads', () => lastBy(stage.written) === 'a');
  await bed.killApiServer();
  await bed.startApiServer();
  const before = stage.written.length;
  await waitFor('a works again', () => stage.written.length > before + 5, 30_000);
  expect(lastBy(stage.written)).toBe('a');
});

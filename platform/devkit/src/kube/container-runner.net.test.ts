import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ContainerRunner } from './container-runner.ts';
import { podSchema } from './pod-spec.ts';

/** Far longer than it takes to begin again. */
const lingerSeconds = 4;
const pollMs = { timeout: 20_000 };

async function running(script: string, lifecycle: object = {}) {
  const [spec] = podSchema.parse({
    metadata: { name: 'broker-0', namespace: 'domicile', uid: 'u1' },
    spec: { containers: [{ name: 'broker', lifecycle }] },
  }).spec.containers;
  if (spec === undefined) throw new Error('a pod has a container');
  const dir = await mkdtemp(join(tmpdir(), 'container-'));
  const container = new ContainerRunner({
    spec,
    restartPolicy: 'Always',
    podIp: '127.0.0.1',
    logFile: join(dir, 'broker.log'),
    command: async () => ({
      command: ['/bin/sh', '-c', script],
      env: { PATH: '/usr/bin:/bin' },
      cwd: dir,
    }),
    changed: () => undefined,
  });
  const over = container.run();
  await expect.poll(() => container.pid, pollMs).toBeGreaterThan(0);
  return {
    container,
    over,
    async [Symbol.asyncDispose]() {
      container.kill('SIGKILL');
      await rm(dir, { recursive: true, force: true });
    },
  };
}

test('one that crashes while it waits for its end, and begins anew, ends all the same', async () => {
  await using scene = await running('exec sleep 300', {
    preStop: { sleep: { seconds: lingerSeconds } },
  });
  const { container, over } = scene;
  const first = container.pid;
  const stopped = container.stop(30_000);
  container.kill('SIGKILL');
  await expect
    .poll(() => container.pid !== undefined && container.pid !== first, pollMs)
    .toBe(true);
  await stopped;
  await over;
  expect(container.pid).toBeUndefined();
});

test('who is asked to end again has no more time than the second one gives', async () => {
  await using scene = await running('trap "" TERM; while :; do sleep 0.1; done');
  const { container, over } = scene;
  const patient = container.stop(300_000);
  await setImmediate();
  await container.stop(500);
  await patient;
  await over;
  expect(container.pid).toBeUndefined();
});

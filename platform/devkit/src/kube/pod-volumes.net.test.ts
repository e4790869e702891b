import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { podSchema } from './pod-spec.ts';
import { PodVolumes } from './pod-volumes.ts';

async function scene() {
  const dir = await mkdtemp(join(tmpdir(), 'pod-volumes-'));
  const pod = podSchema.parse({
    metadata: { name: 'broker-0', namespace: 'domicile', uid: 'u1' },
    spec: {
      containers: [{ name: 'broker' }],
      volumes: ['gone', 'tls'].map((name) => ({ name, secret: { secretName: name } })),
    },
  });
  const secrets = new Map<string, string>([['gone', 'v0']]);
  const held = (name: string) => {
    const value = secrets.get(name);
    return value === undefined ? undefined : { key: Buffer.from(value) };
  };
  const volumes = new PodVolumes({
    pod,
    podIp: '127.0.0.1',
    dir,
    data: { secret: held, configMap: () => undefined },
    token: async () => '',
    claimFolder: () => dir,
  });
  return {
    secrets,
    volumes,
    read: (volume: string) => readFile(join(dir, 'volumes', volume, 'key'), 'utf8'),
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  };
}

test('a Secret that changes while it is being written is there as it was last', async () => {
  await using stage = await scene();
  const { secrets, volumes, read } = stage;
  const writes: Promise<void>[] = [];
  for (let n = 1; n <= 8; n += 1) {
    secrets.set('tls', `v${n}`);
    writes.push(volumes.write());
    await Promise.resolve();
  }
  await Promise.all(writes);
  expect(await read('tls')).toBe('v8');
});

test('what one volume lacks keeps nothing from the others', async () => {
  await using stage = await scene();
  const { secrets, volumes, read } = stage;
  secrets.set('tls', 'v1');
  await volumes.write();
  secrets.delete('gone');
  secrets.set('tls', 'v2');
  await expect(volumes.write()).rejects.toThrow('secret "gone" not found');
  expect(await read('tls')).toBe('v2');
});

test('nothing is written any more once it is removed', async () => {
  await using stage = await scene();
  const { secrets, volumes, read } = stage;
  secrets.set('tls', 'v1');
  const writing = volumes.write();
  await volumes.remove();
  await writing;
  await expect(read('tls')).rejects.toThrow('ENOENT');
});

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { kubeconfigAccess, podAccess } from './kube-access.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'kube-access-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function kubeconfig(user: Readonly<Record<string, unknown>>): Promise<string> {
  const path = join(dir, 'config');
  const content = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'here',
    clusters: [{ name: 'here', cluster: { server: 'https://127.0.0.1:6443' } }],
    users: [{ name: 'me', user }],
    contexts: [{ name: 'here', context: { cluster: 'here', user: 'me', namespace: 'mine' } }],
  };
  await writeFile(path, JSON.stringify(content));
  return path;
}

test('a kubeconfig tells server, namespace and token', async () => {
  const access = await kubeconfigAccess(await kubeconfig({ token: 'a-token' }));
  expect(access.server.href).toBe('https://127.0.0.1:6443/');
  expect(access.namespace).toBe('mine');
  expect(await access.authorization(false)).toBe('Bearer a-token');
});

test('a user whose credentials would not be sent is refused, instead of being nobody', async () => {
  const path = await kubeconfig({ tokenFile: '/somewhere/token' });
  await expect(kubeconfigAccess(path)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('tokenFile is not read'),
  });
});

test('a kubeconfig that is not there or names nothing is said so', async () => {
  const invalid = { code: 'CONFIG_INVALID' };
  await expect(kubeconfigAccess(join(dir, 'none'))).rejects.toMatchObject(invalid);
  const path = join(dir, 'empty');
  await writeFile(path, JSON.stringify({ clusters: [], users: [], contexts: [] }));
  await expect(kubeconfigAccess(path)).rejects.toMatchObject(invalid);
});

test('a pod comes in by its token, which is read again only when it is refused or old', async () => {
  await writeFile(join(dir, 'ca.crt'), 'ca');
  await writeFile(join(dir, 'namespace'), 'mine\n');
  await writeFile(join(dir, 'token'), 'first\n');
  const access = await podAccess({ host: '::1', port: 443, accountDir: dir });
  expect([access.server.host, access.namespace]).toEqual(['[::1]', 'mine']);
  expect(await access.authorization(false)).toBe('Bearer first');
  await writeFile(join(dir, 'token'), 'second\n');
  expect(await access.authorization(false)).toBe('Bearer first');
  expect(await access.authorization(true)).toBe('Bearer second');
  expect(await access.authorization(false)).toBe('Bearer second');
});

test('a pod without its service account is told what to do', async () => {
  await expect(podAccess({ host: 'a', port: 443, accountDir: dir })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('OPERATOR_KUBECONFIG'),
  });
});

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KubeTestbed } from '@domicile/devkit/kube/kube-testbed.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { readConfig } from '../config.ts';
import { configMapKind } from '../model/kinds.ts';
import { startOperator } from '../start.ts';
import { informerTimes } from './informer.ts';
import { conditionsOf } from './status-writer.ts';
import { type TestClient, testClient } from './test-operator.ts';
import { toy, toyDefinition, toyKind, toyReconciler, type ToyWatcher } from './test-toys.ts';

let bed: KubeTestbed;
let client: TestClient;
beforeAll(async () => {
  bed = await KubeTestbed.start({ controllers: false, kubelet: 'none' });
  client = await testClient(bed.kubeconfigPath, { fieldManager: 'user' });
});
afterAll(async () => {
  client[Symbol.dispose]();
  await bed[Symbol.asyncDispose]();
});

const quick = { ...informerTimes, pauseMsMax: 500 };

async function freshNamespace(): Promise<string> {
  const name = `toys-${Math.random().toString(36).slice(2, 10)}`;
  await bed.client.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  return name;
}

/** An operator of toys of its own namespace. */
async function operator(
  namespace: string,
  {
    began,
    closed,
    env = {},
  }: ToyWatcher & {
    readonly env?: Readonly<Record<string, string>>;
    readonly closed?: () => Promise<void>;
  } = {},
) {
  const config = readConfig({
    CELL_COUNTRY: 'DE',
    OPERATOR_NAMESPACE: namespace,
    OPERATOR_KUBECONFIG: bed.kubeconfigPath,
    ...env,
  });
  const failures: unknown[] = [];
  const service = await startOperator(config, (error) => void failures.push(error), {
    log: pino({ level: 'silent' }),
    informerTimes: quick,
    reconcilers: (ports) => [
      {
        ...toyReconciler(ports, { namespaces: [namespace], ...(began && { began }) }),
        ...(closed && { [Symbol.asyncDispose]: closed }),
      },
    ],
  });
  const ask = async (path: string) => {
    const response = await fetch(`${service.adminUrl}${path}`);
    return { status: response.status, text: await response.text() };
  };
  return {
    failures,
    ready: () => ask('/readyz'),
    metric: async (line: string) => {
      const { text } = await ask('/metrics');
      const found = text.split('\n').find((one) => one.startsWith(line));
      return found === undefined ? undefined : Number(found.split(' ').at(-1));
    },
    metrics: async () => (await ask('/metrics')).text,
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  };
}

const put = (namespace: string, name: string, spec: Readonly<Record<string, unknown>>) =>
  bed.client.apply(toy(namespace, name, spec));

const childOf = (namespace: string, name: string) =>
  client.kube.get(configMapKind, { namespace, name: `toy-${name}` });

async function hasChild(namespace: string, name: string, value: string): Promise<boolean> {
  const child = await childOf(namespace, name);
  return JSON.stringify(child?.['data']) === JSON.stringify({ value });
}

/** Writes to these kinds as the API server counts them. */
async function writes(): Promise<number> {
  const text = z.string().parse(await bed.client.request('GET', '/metrics'));
  return text
    .split('\n')
    .filter((line) => line.startsWith('apiserver_request_total{'))
    .filter((line) => /verb="(?:APPLY|PATCH|POST|PUT|DELETE|CREATE|UPDATE)"/.test(line))
    .filter((line) => /resource="(?:toys|configmaps|events)"/.test(line))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

test('says what it waits for until all is listed, and goes on when it is there', async () => {
  const namespace = await freshNamespace();
  await using running = await operator(namespace);
  await waitFor('the reason', async () => (await running.ready()).text.includes('toys in'));
  expect((await running.ready()).status).toBe(503);
  await bed.client.applyAll([toyDefinition]);
  await waitFor('readiness', async () => (await running.ready()).status === 200);
  await put(namespace, 'first', { value: 'one' });
  await waitFor('the child', () => hasChild(namespace, 'first', 'one'));
});

test('changes, drift and deletion of children are met, with a status of the generation seen', async () => {
  const namespace = await freshNamespace();
  await using _running = await operator(namespace);
  await put(namespace, 'a', { value: 'one' });
  await waitFor('the child', () => hasChild(namespace, 'a', 'one'));
  await put(namespace, 'a', { value: 'two' });
  await waitFor('the change', () => hasChild(namespace, 'a', 'two'));
  const ref = { namespace, name: 'toy-a' };
  await bed.client.patch('v1', 'ConfigMap', ref, { data: { value: 'drifted' } });
  await waitFor('the mend', () => hasChild(namespace, 'a', 'two'));
  const child = await client.kube.get(configMapKind, ref);
  await client.kube.delete(configMapKind, ref, { uid: child?.metadata.uid ?? '' });
  await waitFor('the child again', () => hasChild(namespace, 'a', 'two'));
  const seen = await client.kube.get(toyKind, { namespace, name: 'a' });
  expect(conditionsOf(seen ?? toy(namespace, 'a', {}))).toMatchObject([
    { type: 'Ready', status: 'True', message: 'has two', observedGeneration: 2 },
  ]);
});

test('a steady state makes no write in 60 resyncs', async () => {
  const namespace = await freshNamespace();
  let looks = 0;
  await using _running = await operator(namespace, {
    began: () => void (looks += 1),
    env: { OPERATOR_RESYNC_MS: '100' },
  });
  for (let n = 0; n < 5; n += 1) await put(namespace, `t${n}`, { value: `${n}` });
  const isTold = async (n: number) => {
    const seen = await client.kube.get(toyKind, { namespace, name: `t${n}` });
    return seen !== undefined && conditionsOf(seen).length > 0;
  };
  for (let n = 0; n < 5; n += 1) await waitFor(`t${n} is told`, () => isTold(n));
  const [before, looksBefore] = [await writes(), looks];
  await waitFor('60 looks at each', () => looks > looksBefore + 5 * 60);
  expect(await writes()).toBe(before);
});

test('what fails is tried again with pauses and said once; what is refused is not', async () => {
  const namespace = await freshNamespace();
  const looks = { fails: 0, refused: 0 };
  await using running = await operator(namespace, {
    began: (name) => void (looks[name === 'fails' ? 'fails' : 'refused'] += 1),
  });
  await put(namespace, 'fails', { value: 'x', mode: 'fail' });
  await put(namespace, 'refused', { value: 'y', mode: 'refuse' });
  await waitFor('three tries', () => looks.fails >= 3 && looks.refused > 0);
  expect(looks.refused).toBe(1);
  const notes = async () =>
    (await bed.client.list('events.k8s.io/v1', 'Event', { namespace })).items.map(
      (event) => `${String(event['reason'])}: ${String(event['note'])}`,
    );
  await waitFor('both events', async () => (await notes()).length >= 2);
  expect((await notes()).toSorted()).toEqual([
    'ReconcileFailed: An internal error; the log of the operator has the rest',
    'Refused: y is no value',
  ]);
  await put(namespace, 'fails', { value: 'x' });
  await waitFor('the repair', () => hasChild(namespace, 'fails', 'x'));
  expect(await running.metric('controller_runtime_reconcile_errors_total{')).toBeGreaterThanOrEqual(
    3,
  );
  expect(await running.metric('controller_runtime_terminal_reconcile_errors_total{')).toBe(1);
  expect(await running.metric('leader_election_master_status{')).toBe(1);
  const text = await running.metrics();
  for (const name of [
    'controller_runtime_reconcile_total{',
    'controller_runtime_reconcile_time_seconds_bucket{',
    'workqueue_depth{',
    'workqueue_adds_total{',
    'workqueue_queue_duration_seconds_bucket{',
    'workqueue_retries_total{',
    'rest_client_requests_total{',
  ])
    expect(text).toContain(name);
});

test('what was begun is finished at a stop, and the lease is given back', async () => {
  const namespace = await freshNamespace();
  const release = Promise.withResolvers<void>();
  let begun = 0;
  let closings = 0;
  const first = await operator(namespace, {
    began: async () => {
      begun += 1;
      await release.promise;
    },
    closed: async () => {
      closings += 1;
    },
  });
  await put(namespace, 'slow', { value: 'kept' });
  await waitFor('the look', () => begun > 0);
  const stopped = first[Symbol.asyncDispose]();
  await sleep(300);
  release.resolve();
  await stopped;
  expect(first.failures).toEqual([]);
  expect(closings).toBe(1);
  expect(await hasChild(namespace, 'slow', 'kept')).toBe(true);
  // A lease that was kept would hold it up for fifteen seconds.
  await using _second = await operator(namespace);
  await put(namespace, 'next', { value: 'two' });
  await waitFor('the next leader', () => hasChild(namespace, 'next', 'two'), 10_000);
});

test('it goes on by itself after the API server was killed and started again', async () => {
  const namespace = await freshNamespace();
  await using running = await operator(namespace);
  await put(namespace, 'a', { value: 'before' });
  await waitFor('the child', () => hasChild(namespace, 'a', 'before'));
  await bed.killApiServer();
  await sleep(500);
  await bed.startApiServer();
  await put(namespace, 'a', { value: 'after' });
  await put(namespace, 'b', { value: 'new' });
  await waitFor('the change', () => hasChild(namespace, 'a', 'after'), 30_000);
  await waitFor('the new one', () => hasChild(namespace, 'b', 'new'), 30_000);
  expect(running.failures).toEqual([]);
});

test('as a pod it comes in by its token, which is read again when it is refused, with few rights', async () => {
  const namespace = await freshNamespace();
  const rule = (apiGroups: string[], resources: string[], verbs: string[]) => ({
    apiGroups,
    resources,
    verbs,
  });
  const name = 'operator';
  await bed.client.applyAll([
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: { name, namespace },
      rules: [
        rule(['toys.test'], ['toys'], ['list', 'watch']),
        rule(['toys.test'], ['toys/status'], ['patch']),
        rule([''], ['configmaps'], ['list', 'watch', 'get', 'create', 'patch']),
        rule(['coordination.k8s.io'], ['leases'], ['get', 'create', 'patch']),
        rule(['events.k8s.io'], ['events'], ['create']),
      ],
    },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name, namespace },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
      subjects: [{ kind: 'ServiceAccount', name, namespace }],
    },
  ]);
  const { client: account } = await bed.serviceAccount(namespace, name);
  const { identity, authority } = account.access;
  const accountDir = await mkdtemp(join(tmpdir(), 'service-account-'));
  try {
    await writeFile(join(accountDir, 'ca.crt'), authority);
    await writeFile(join(accountDir, 'namespace'), namespace);
    await writeFile(join(accountDir, 'token'), 'no longer good');
    const server = new URL(bed.server);
    await using running = await operator(namespace, {
      env: {
        OPERATOR_KUBECONFIG: '',
        SERVICE_ACCOUNT_DIR: accountDir,
        KUBERNETES_SERVICE_HOST: server.hostname,
        KUBERNETES_SERVICE_PORT: server.port,
      },
    });
    await waitFor('a refusal', async () => {
      const refused = await running.metric('rest_client_requests_total{method="POST",code="401"');
      return (refused ?? 0) > 0;
    });
    expect((await running.ready()).status).toBe(503);
    await writeFile(join(accountDir, 'token'), identity.kind === 'token' ? identity.token : '');
    await waitFor('readiness', async () => (await running.ready()).status === 200);
    await put(namespace, 'a', { value: 'by a pod' });
    await waitFor('the child', () => hasChild(namespace, 'a', 'by a pod'));
  } finally {
    await rm(accountDir, { recursive: true, force: true });
  }
});

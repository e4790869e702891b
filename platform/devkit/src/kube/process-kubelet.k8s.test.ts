import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { waitFor } from '../wait-for.ts';
import type { Manifest } from './kube-client.ts';
import { KubeTestbed } from './kube-testbed.ts';
import { addressOf } from './load-balancers.ts';
import { ProcessKubelet } from './process-kubelet.ts';

let bed: KubeTestbed;
let kubelet: ProcessKubelet;
let dir: string;
/** Many within the grace of the node controller, which would else take them for lost now and then. */
const heartbeatMs = 1_000;
const nodes = [
  { name: 'de-a', region: 'europe-west3', zone: 'europe-west3-a', heartbeatMs },
  { name: 'de-b', region: 'europe-west10', zone: 'europe-west10-a', heartbeatMs },
];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'kubelet-'));
  bed = await KubeTestbed.start({
    kubelet: 'none',
    flags: {
      'kube-controller-manager': ['--node-monitor-grace-period=8s', '--node-monitor-period=1s'],
      'kube-apiserver': ['--default-unreachable-toleration-seconds=2'],
    },
  });
  kubelet = await ProcessKubelet.start({ client: bed.client, nodes, dir });
  await bed.nodesReady();
});
afterAll(async () => {
  await kubelet[Symbol.asyncDispose]();
  await bed[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

const port = 8080;
const program = 'platform/devkit/src/kube/test-web.ts';
const probe = {
  httpGet: { path: '/health', port: 'http' },
  periodSeconds: 1,
  failureThreshold: 1,
  // Of one that is slow to answer nothing is to be learnt here.
  timeoutSeconds: 20,
};

function container(answer: string): object {
  return {
    name: 'web',
    image: 'domicile.example/domicile:1',
    command: ['node', program, `${port}`, '/etc/web/token', `${answer}$(SUFFIX)`],
    env: [{ name: 'SUFFIX', valueFrom: { configMapKeyRef: { name: 'web', key: 'suffix' } } }],
    ports: [{ name: 'http', containerPort: port }],
    volumeMounts: [{ name: 'keys', mountPath: '/etc/web' }],
    startupProbe: { ...probe, failureThreshold: 60 },
    readinessProbe: probe,
    livenessProbe: probe,
  };
}

interface Web {
  readonly name: string;
  readonly namespace: string;
  readonly answer: string;
  readonly spec?: object;
}

function deployment({ name, namespace, answer, spec = {} }: Web): Manifest {
  const labels = { app: name };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          containers: [container(answer)],
          volumes: [{ name: 'keys', secret: { secretName: 'web' } }],
          terminationGracePeriodSeconds: 5,
          ...spec,
        },
      },
    },
  };
}

function service(name: string, namespace: string): Manifest {
  const spec = { selector: { app: name }, ports: [{ name: 'http', port }] };
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace }, spec };
}

function given(namespace: string, token: string): Manifest[] {
  const metadata = { name: 'web', namespace };
  return [
    { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { suffix: '!' } },
    { apiVersion: 'v1', kind: 'Secret', metadata, stringData: { token } },
  ];
}

const podSchema = z.looseObject({
  spec: z.looseObject({ nodeName: z.string().default('') }),
  status: z.looseObject({
    phase: z.string(),
    podIP: z.string().default(''),
    conditions: z.array(z.looseObject({ type: z.string(), status: z.string() })).default([]),
    containerStatuses: z.array(z.looseObject({ restartCount: z.number() })).default([]),
  }),
});

async function podsOf(namespace: string, app: string) {
  const { items } = await bed.client.list('v1', 'Pod', { namespace, labels: `app=${app}` });
  return items.map(({ metadata, ...pod }) => {
    const { spec, status } = podSchema.parse(pod);
    const isReady = status.conditions.some(
      ({ type, status: holds }) => type === 'Ready' && holds === 'True',
    );
    const restarts = status.containerStatuses[0]?.restartCount ?? 0;
    const isLeaving = metadata.deletionTimestamp !== undefined;
    return { ...status, name: metadata.name, isReady, isLeaving, restarts, node: spec.nodeName };
  });
}

function untilReady(namespace: string, app: string, count = 2): Promise<void> {
  return waitFor(`${count} ready pods of ${app}`, async () => {
    const pods = await podsOf(namespace, app);
    return pods.filter((pod) => pod.isReady && !pod.isLeaving).length === count;
  });
}

async function ask(podIp: string, path: string): Promise<string> {
  const response = await fetch(`http://${podIp}:${port}${path}`).catch(() => undefined);
  return (await response?.text()) ?? 'unreachable';
}

/** A pod is ready a little before its Service knows. */
function untilAnswered(podIp: string, path: string, answer: string): Promise<void> {
  return waitFor(`${path} answers ${answer}`, async () => (await ask(podIp, path)) === answer);
}

async function running(answer: string): Promise<{ namespace: string; ip: string; name: string }> {
  const namespace = await bed.namespace();
  await bed.client.applyAll([...given(namespace, 'first'), service('web', namespace)]);
  await bed.client.apply(deployment({ name: 'web', namespace, answer }));
  await untilReady(namespace, 'web');
  const [pod] = await podsOf(namespace, 'web');
  return { namespace, ip: pod?.podIP ?? '', name: pod?.name ?? '' };
}

test('pods are processes with addresses of their own, and reach one another by the name of their Service', async () => {
  const { namespace, ip } = await running('hello');
  expect(await ask(ip, '/')).toBe('hello!');
  const pods = await podsOf(namespace, 'web');
  expect(new Set(pods.map(({ podIP }) => podIP)).size).toBe(2);
  for (const name of ['web', `web.${namespace}`, `web.${namespace}.svc.cluster.local`])
    await untilAnswered(ip, `/?of=http://${name}:${port}/`, 'hello!');
  expect(await ask(ip, `/?of=http://nobody.${namespace}:${port}/`)).toBe('unreachable');
});

test('a LoadBalancer is an address from which pods are reached', async () => {
  const { namespace } = await running('hello');
  const balanced = service('web', namespace);
  const spec = { ...Object(balanced['spec']), type: 'LoadBalancer' };
  await bed.client.apply({ ...balanced, spec });
  const address = async () =>
    addressOf(await bed.client.get('v1', 'Service', { name: 'web', namespace }));
  await waitFor('its address', async () => (await address()) !== undefined);
  const found = (await address()) ?? '';
  await untilAnswered(found, '/', 'hello!');
  expect(found).toMatch(/^127\.\d+\.255\.\d+$/);
});

test('a Secret that changes is seen by who runs already', async () => {
  const { namespace, ip } = await running('hello');
  expect(await ask(ip, '/secret')).toBe('first');
  await bed.client.applyAll(given(namespace, 'second'));
  await waitFor('the new secret', async () => (await ask(ip, '/secret')) === 'second');
});

test('what waits for a Secret says so, and starts when it is there', async () => {
  const namespace = await bed.namespace();
  await bed.client.apply(deployment({ name: 'web', namespace, answer: 'late' }));
  await waitFor('a pod that says what is missing', async () =>
    JSON.stringify(await podsOf(namespace, 'web')).includes('secret \\"web\\" not found'),
  );
  await bed.client.applyAll(given(namespace, 'now'));
  await untilReady(namespace, 'web');
  expect((await podsOf(namespace, 'web')).map(({ restarts }) => restarts)).toEqual([0, 0]);
});

test('a new version comes up before the old one goes', async () => {
  const { namespace } = await running('old');
  await bed.client.apply(deployment({ name: 'web', namespace, answer: 'new' }));
  await waitFor('only the new', async () => {
    const pods = await podsOf(namespace, 'web');
    expect(pods.filter((pod) => pod.isReady && !pod.isLeaving).length).toBeGreaterThan(0);
    const answers = await Promise.all(pods.map(({ podIP }) => ask(podIP, '/')));
    return answers.length === 2 && answers.every((answer) => answer === 'new!');
  });
});

test('what crashes or turns unhealthy is started again, and counted', async () => {
  const { namespace, ip, name } = await running('hello');
  kubelet.signal(namespace, name, 'SIGKILL');
  const restarts = async () =>
    (await podsOf(namespace, 'web')).find((pod) => pod.name === name)?.restarts;
  await waitFor('the restart after a crash', async () => (await restarts()) === 1);
  await untilReady(namespace, 'web');
  await ask(ip, '/fail');
  await waitFor('the restart of the unhealthy', async () => (await restarts()) === 2);
  await untilReady(namespace, 'web');
  expect(await ask(ip, '/')).toBe('hello!');
});

test('what somebody else says of a pod is put right, as after the node was thought lost', async () => {
  const { namespace, name } = await running('here');
  const place = { name, namespace, subresource: 'status' } as const;
  const conditions = [
    { type: 'Ready', status: 'False', lastTransitionTime: new Date().toISOString() },
  ];
  const readyOf = async () =>
    (await podsOf(namespace, 'web')).some((pod) => pod.name === name && pod.isReady);
  expect(await readyOf()).toBe(true);
  await bed.client.patch('v1', 'Pod', place, { status: { conditions } });
  await waitFor('the pod is ready again', readyOf);
  expect(await readyOf()).toBe(true);
});

test('a deleted pod ends in good order and another takes its place', async () => {
  const { namespace, ip, name } = await running('hello');
  const pid = kubelet.pid(namespace, name, 'web');
  await bed.client.delete('v1', 'Pod', { name, namespace });
  await waitFor('that it is gone', async () =>
    (await podsOf(namespace, 'web')).every((pod) => pod.name !== name),
  );
  expect(existsSync(`/proc/${pid}`)).toBe(false);
  expect(await ask(ip, '/')).toBe('unreachable');
  await untilReady(namespace, 'web');
});

test('a Job runs once, its init containers before it, and its output is kept', async () => {
  const namespace = await bed.namespace();
  const run = (name: string, code: string) => ({
    name,
    image: 'domicile.example/domicile:1',
    command: ['node', '-e', code],
    volumeMounts: [{ name: 'work', mountPath: '/scratch' }],
    env: [{ name: 'FILE', value: '/scratch/file' }],
  });
  const spec = {
    restartPolicy: 'Never',
    volumes: [{ name: 'work', emptyDir: {} }],
    initContainers: [run('first', 'fs.writeFileSync(process.env.FILE, "done before")')],
    containers: [run('then', 'console.log(fs.readFileSync(process.env.FILE, "utf8"))')],
  };
  await bed.client.apply({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'once', namespace },
    spec: { template: { metadata: { labels: { app: 'once' } }, spec } },
  });
  await waitFor('the Job', async () => {
    const job = await bed.client.get('batch/v1', 'Job', { name: 'once', namespace });
    return JSON.stringify(job['status']).includes('"succeeded":1');
  });
  const [pod] = await podsOf(namespace, 'once');
  const log = join(kubelet.logDir(namespace, pod?.name ?? ''), 'then.log');
  expect(await readFile(log, 'utf8')).toBe('done before\n');
  const logs = await bed.kubectl(['logs', '-n', namespace, pod?.name ?? '', '-c', 'then']);
  expect(logs.stdout).toBe('done before\n');
});

test('a StatefulSet keeps its folder, and its pods have names', async () => {
  const namespace = await bed.namespace();
  const labels = { app: 'kept' };
  const mount = { volumeMounts: [{ name: 'data', mountPath: '/etc/web' }], env: [] };
  await bed.client.applyAll([
    {
      ...service('kept', namespace),
      spec: { clusterIP: 'None', selector: labels, ports: [{ name: 'http', port }] },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { name: 'kept', namespace },
      spec: {
        replicas: 1,
        serviceName: 'kept',
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: { containers: [{ ...container('kept'), ...mount }] },
        },
        volumeClaimTemplates: [
          {
            metadata: { name: 'data' },
            spec: {
              accessModes: ['ReadWriteOnce'],
              resources: { requests: { storage: '1Gi' } },
            },
          },
        ],
      },
    },
  ]);
  await untilReady(namespace, 'kept', 1);
  const [pod] = await podsOf(namespace, 'kept');
  expect(pod?.name).toBe('kept-0');
  await untilAnswered(pod?.podIP ?? '', `/?of=http://kept-0.kept:${port}/`, 'kept$(SUFFIX)');
});

test('pods of a node that is cut off are replaced on another, and go when it is back', async () => {
  const { namespace } = await running('hello');
  const lost = (await podsOf(namespace, 'web'))[0]?.node ?? '';
  await kubelet.loseNode(lost);
  const others = async () =>
    (await podsOf(namespace, 'web')).filter(
      (pod) => pod.node !== lost && pod.isReady && !pod.isLeaving,
    );
  await waitFor('two pods on the other node', async () => (await others()).length === 2);
  await kubelet.returnNode(lost);
  await waitFor('no pod but those', async () => (await podsOf(namespace, 'web')).length === 2);
  expect(await others()).toHaveLength(2);
});

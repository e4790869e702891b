import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PlatformError } from '@domicile/core/errors.ts';
import { must } from '@domicile/core/invariants.ts';
import { z } from 'zod';
import { issueCertificate } from '../certificates.ts';
import { freshName } from '../fresh-name.ts';
import { type HelmOptions, type HelmOutcome, runHelm } from '../helm-tool.ts';
import {
  type Component,
  type ComponentName,
  type ControlPlane,
  kubeconfigOf,
  prepareControlPlane,
} from './control-plane.ts';
import { FakeKubelet, type PodOutcome } from './fake-kubelet.ts';
import { type KubeAccess, KubeClient, type KubeObject, type Manifest } from './kube-client.ts';
import { installControlPlane } from './kube-install.ts';
import { kubeTools } from './kube-tools.ts';
import type { NodeSpec } from './node-agent.ts';

export interface KubeTestbedOptions {
  /** Default: one of region `europe-west3`. */
  readonly nodes?: readonly NodeSpec[];
  /** What becomes of pods; default: all run. `none`: no kubelet and no nodes, for one of your own. */
  readonly kubelet?: 'fake' | 'none';
  readonly outcomeOf?: (pod: KubeObject) => PodOutcome;
  /** Without the controllers nothing but the API is served: lighter, and nobody reconciles. */
  readonly controllers?: boolean;
  /** Applied before the controllers start: of kinds that come later some hear only half a minute after that. */
  readonly manifests?: readonly Manifest[];
  /** Flags that are added last, and so win. */
  readonly flags?: Readonly<Partial<Record<ComponentName, readonly string[]>>>;
  /** Where it lies; absent: a passing folder, which is removed at the end. */
  readonly dir?: string;
}

/** A caller of the API that is not the administrator. */
export interface KubeCaller {
  readonly client: KubeClient;
  readonly kubeconfigPath: string;
}

const startTimeoutMs = 90_000;
const readyTimeoutMs = 60_000;
/** It may wait for a rollout. */
const kubectlTimeoutMs = 180_000;
const pollMs = 50;
const startsMax = 2;
const defaultNodes: readonly NodeSpec[] = [
  { name: 'node-1', region: 'europe-west3', zone: 'europe-west3-a' },
];

/**
 * A real control plane on loopback: etcd, API server, controller manager and scheduler, about 5 s to ready and 300 MB; with
 * nodes and pods that a fake kubelet plays. All of it dies with this process.
 */
export class KubeTestbed implements AsyncDisposable {
  readonly dir: string;
  /** Of the administrator. */
  readonly kubeconfigPath: string;
  readonly client: KubeClient;
  readonly #plane: ControlPlane;
  readonly #isKept: boolean;
  #kubelet: FakeKubelet | undefined;

  static async start(options: KubeTestbedOptions = {}): Promise<KubeTestbed> {
    const binary = await installControlPlane();
    for (let attempt = 1; ; attempt += 1) {
      const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'kube-testbed-')));
      const bed = new KubeTestbed(dir, await prepareControlPlane(binary, dir, options), options);
      try {
        await bed.#start(options);
        return bed;
      } catch (error) {
        await bed[Symbol.asyncDispose]();
        // Another process may have taken a port that was free a moment ago.
        if (attempt === startsMax) throw error;
      }
    }
  }

  private constructor(dir: string, plane: ControlPlane, options: KubeTestbedOptions) {
    this.dir = dir;
    this.#plane = plane;
    this.#isKept = options.dir !== undefined;
    this.kubeconfigPath = join(dir, 'admin.kubeconfig');
    this.client = new KubeClient(plane.admin);
  }

  get server(): string {
    return this.#plane.server;
  }

  /** Of the administrator. */
  get access(): KubeAccess {
    return this.#plane.admin;
  }

  get kubelet(): FakeKubelet {
    return must(this.#kubelet, 'the testbed was started with a kubelet');
  }

  get components(): readonly Component[] {
    return [...this.#plane.components.values()];
  }

  component(name: ComponentName): Component {
    return must(this.#plane.components.get(name), `${name} is part of this testbed`);
  }

  /** Ends the API server at once, as a crash would; all that clients hold open is cut. */
  killApiServer(): Promise<void> {
    return this.component('kube-apiserver').kill();
  }

  /** After `killApiServer`: resolves when it answers again. */
  async startApiServer(): Promise<void> {
    this.component('kube-apiserver').start();
    await this.ready();
  }

  /** It holds connections and says nothing, until disposed. */
  pauseApiServer(): Disposable {
    return this.#pause('kube-apiserver');
  }

  /** etcd runs only a part of the time, until disposed. */
  slowEtcd({ pausedMs, runningMs }: { pausedMs: number; runningMs: number }): AsyncDisposable {
    const stopping = new AbortController();
    const { signal } = stopping;
    const cycle = async (): Promise<void> => {
      while (!signal.aborted) {
        const paused = this.#pause('etcd');
        await sleep(pausedMs, undefined, { signal }).catch(() => undefined);
        paused[Symbol.dispose]();
        await sleep(runningMs, undefined, { signal }).catch(() => undefined);
      }
    };
    const cycling = cycle();
    return {
      async [Symbol.asyncDispose]() {
        stopping.abort();
        await cycling;
      },
    };
  }

  /** Resolves when the API server answers /readyz. */
  ready(timeoutMs = readyTimeoutMs): Promise<void> {
    return this.#until('/readyz', timeoutMs, async () => {
      await this.client.request('GET', '/readyz');
      return true;
    });
  }

  /** A namespace of a fresh name, with its service account. */
  async namespace(labels: Readonly<Record<string, string>> = {}): Promise<string> {
    const name = freshName('test');
    await this.client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
    const isThere = () =>
      this.client.find('v1', 'ServiceAccount', { name: 'default', namespace: name });
    await this.#until(
      'the default service account',
      readyTimeoutMs,
      async () => (await isThere()) !== undefined,
    );
    return name;
  }

  /** A caller with the rights of a service account that is there. */
  async serviceAccount(namespace: string, name: string): Promise<KubeCaller> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
    const content = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { audiences: [], expirationSeconds: 36_000 },
    };
    const token = await this.client.token(path, content);
    return this.#caller(`${namespace}-${name}`, { kind: 'token', token });
  }

  /** A caller with a client certificate: the API server takes its name for the user. */
  async user(name: string, groups: readonly string[] = []): Promise<KubeCaller> {
    const request = { name, organizations: groups };
    const issued = await issueCertificate(this.#plane.authority, request);
    return this.#caller(name, { kind: 'certificate', ...issued });
  }

  helm(parameters: readonly string[], version?: HelmOptions['version']): Promise<HelmOutcome> {
    const { kubeconfigPath: kubeconfig } = this;
    return runHelm(parameters, { kubeconfig, ...(version !== undefined && { version }) });
  }

  async kubectl(parameters: readonly string[]): Promise<HelmOutcome> {
    const { kubectl } = await kubeTools();
    const all = [
      '--kubeconfig',
      this.kubeconfigPath,
      '--cache-dir',
      join(this.dir, 'kubectl'),
      ...parameters,
    ];
    return new Promise((resolve, reject) => {
      execFile(kubectl, all, { timeout: kubectlTimeoutMs }, (error, stdout, stderr) => {
        if (error && typeof error.code !== 'number') reject(error);
        else resolve({ status: Number(error?.code ?? 0), stdout, stderr });
      });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#kubelet?.[Symbol.asyncDispose]();
    this.client.close();
    await Promise.all([...this.#plane.components.values()].map((component) => component.kill()));
    if (!this.#isKept) await rm(this.dir, { recursive: true, force: true });
  }

  async #start({
    nodes = defaultNodes,
    kubelet = 'fake',
    controllers = true,
    manifests = [],
    outcomeOf,
  }: KubeTestbedOptions): Promise<void> {
    await writeFile(this.kubeconfigPath, kubeconfigOf(this.#plane.admin), { mode: 0o600 });
    this.component('etcd').start();
    this.component('kube-apiserver').start();
    await this.ready(startTimeoutMs);
    await this.client.applyAll(manifests);
    for (const component of this.#plane.components.values()) component.start();
    if (controllers) {
      const place = { name: 'default', namespace: 'default' };
      const isThere = async () =>
        (await this.client.find('v1', 'ServiceAccount', place)) !== undefined;
      await this.#until('the default service account', startTimeoutMs, isThere);
    }
    if (kubelet === 'none') return;
    this.#kubelet = new FakeKubelet({
      client: this.client,
      nodes,
      ...(outcomeOf && { outcomeOf }),
    });
    await this.#kubelet.start();
    if (controllers) await this.nodesReady();
  }

  /** Resolves when pods can be bound to all nodes. */
  nodesReady(): Promise<void> {
    const schema = z.looseObject({
      spec: z.looseObject({ taints: z.array(z.unknown()).default([]) }),
    });
    return this.#until('nodes without a taint', startTimeoutMs, async () => {
      const { items } = await this.client.list('v1', 'Node');
      return items.every((node) => schema.parse(node).spec.taints.length === 0);
    });
  }

  #pause(name: ComponentName): Disposable {
    const component = this.component(name);
    component.signal('SIGSTOP');
    return { [Symbol.dispose]: () => component.signal('SIGCONT') };
  }

  async #caller(name: string, identity: KubeAccess['identity']): Promise<KubeCaller> {
    const access = { ...this.#plane.admin, identity };
    const kubeconfigPath = join(
      this.dir,
      `${freshName(name.replaceAll(/[^\w.-]/g, '-'))}.kubeconfig`,
    );
    await writeFile(kubeconfigPath, kubeconfigOf(access), { mode: 0o600 });
    return { client: new KubeClient(access), kubeconfigPath };
  }

  async #until(what: string, timeoutMs: number, check: () => Promise<boolean>): Promise<void> {
    let cause: unknown;
    for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; await sleep(pollMs)) {
      try {
        if (await check()) return;
      } catch (error) {
        cause = error;
      }
      const dead = [...this.#plane.components.values()].find((component) => component.hasExited);
      if (dead !== undefined) break;
    }
    const logs = [...this.#plane.components.values()].map(
      async (one) => `--- ${one.name}${one.hasExited ? ' has exited' : ''}\n${await one.logTail()}`,
    );
    throw new PlatformError(
      'UPSTREAM_UNAVAILABLE',
      `Waited in vain for ${what} of Kubernetes\n${(await Promise.all(logs)).join('\n')}`,
      { cause },
    );
  }
}

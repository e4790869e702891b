import { randomInt } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { must } from '@domicile/core/invariants.ts';
import { z } from 'zod';
import { KubeCache, keyOf } from './kube-cache.ts';
import { KubeApiError, type KubeClient, type KubeObject } from './kube-client.ts';
import { KubeletLogs } from './kubelet-logs.ts';
import { LoadBalancers } from './load-balancers.ts';
import { LocalVolumes } from './local-volumes.ts';
import { NodeAgent, type NodeSpec } from './node-agent.ts';
import type { Command, Contents, ObjectData } from './pod-command.ts';
import { PodNetwork } from './pod-network.ts';
import { PodRunner } from './pod-runner.ts';
import { type Pod, podSchema } from './pod-spec.ts';
import { ServiceNames } from './service-names.ts';

export interface ProcessKubeletOptions {
  readonly client: KubeClient;
  readonly nodes: readonly NodeSpec[];
  /** For volumes of pods, logs and names of Services. */
  readonly dir: string;
  /** What stands for `/app`, the image's folder; default: the repository. */
  readonly checkout?: string;
  /** Pods are given addresses of 127.x.0.0/16: x from 16 to 239, or the next that no other kubelet has; default: at random. */
  readonly network?: number;
  /** What every process needs of this machine: `PATH` and the like. */
  readonly environment?: Readonly<Record<string, string>>;
}

const repository = join(import.meta.dirname, '../../../..');
const preload = pathToFileURL(join(import.meta.dirname, 'pod-preload.ts'));
const encodedSchema = z.looseObject({ data: z.record(z.string(), z.string()).default({}) });
const configMapSchema = z.looseObject({
  data: z.record(z.string(), z.string()).default({}),
  binaryData: z.record(z.string(), z.string()).default({}),
});
const graceSecondsDefault = 30;
const refreshTokensMs = 60_000;

/**
 * Nodes whose pods run as processes of this machine, in the checkout and with the pod's settings. It mounts nothing: paths of
 * volumes are replaced in settings and arguments. It isolates nothing either: images, users, capabilities, read-only roots,
 * resource limits and NetworkPolicies are not looked at.
 */
export class ProcessKubelet implements AsyncDisposable {
  readonly #options: ProcessKubeletOptions;
  readonly #agents = new Map<string, NodeAgent>();
  readonly #stopping = new AbortController();
  readonly #pods = new Map<string, PodRunner>();
  readonly #ending = new Set<Promise<void>>();
  readonly #lost = new Set<string>();
  readonly #hostsFile: string;
  #addresses = 0;
  #secrets: KubeCache | undefined;
  #configMaps: KubeCache | undefined;
  #bound: KubeCache | undefined;
  #names: ServiceNames | undefined;
  #volumes: LocalVolumes | undefined;
  #balancers: LoadBalancers | undefined;
  #logs: KubeletLogs | undefined;
  #network: PodNetwork | undefined;
  #refreshing: NodeJS.Timeout | undefined;

  static async start(options: ProcessKubeletOptions): Promise<ProcessKubelet> {
    const kubelet = new ProcessKubelet(options);
    await kubelet.#start();
    return kubelet;
  }

  private constructor(options: ProcessKubeletOptions) {
    this.#options = options;
    this.#hostsFile = join(options.dir, 'service-names.json');
  }

  /** Where the output of a pod's containers is, a file each. */
  logDir(namespace: string, pod: string): string {
    return join(this.#options.dir, 'logs', namespace, pod);
  }

  /** Of a container that runs; undefined if there is none. */
  pid(namespace: string, pod: string, container: string): number | undefined {
    return this.#runner(namespace, pod)?.pid(container);
  }

  /** To all containers of a pod: a crash, a process that hangs. */
  signal(namespace: string, pod: string, signal: NodeJS.Signals): void {
    must(this.#runner(namespace, pod), `${namespace}/${pod} runs here`).kill(signal);
  }

  /** Cut off from the API server: its lease is not renewed, nothing of its pods is reported, and what runs goes on. */
  async loseNode(name: string): Promise<void> {
    this.#lost.add(name);
    await this.#agents.get(name)?.[Symbol.asyncDispose]();
    this.#runnersOf(name).forEach((runner) => runner.silence(true));
  }

  async returnNode(name: string): Promise<void> {
    const { spec } = must(this.#agents.get(name), `${name} is a node of this kubelet`);
    await this.#startNode(spec);
    this.#lost.delete(name);
    this.#runnersOf(name).forEach((runner) => runner.silence(false));
    for (const pod of this.#bound?.values() ?? []) this.#changed(keyOf(pod), pod);
  }

  /** The machines lose their power: nothing of a pod finishes what it began. The kubelet is to be disposed of then. */
  async cutPower(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([...this.#pods.values()].map((runner) => runner.stop(0)));
  }

  /** Ends all pods at once. The nodes stay in the API, and their leases end. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#refreshing);
    this.#stopping.abort();
    await Promise.all([
      this.#secrets?.ended(),
      this.#configMaps?.ended(),
      this.#bound?.ended(),
      this.#names?.ended(),
      this.#volumes?.ended(),
      this.#balancers?.ended(),
      ...[...this.#agents.values()].map((agent) => agent[Symbol.asyncDispose]()),
      ...[...this.#pods.values()].map((runner) => runner.stop(shutdownGraceMs)),
    ]);
    await Promise.all(this.#ending);
    await this.#logs?.[Symbol.asyncDispose]();
    await this.#network?.[Symbol.asyncDispose]();
  }

  async #start(): Promise<void> {
    const { client, dir } = this.#options;
    const { signal } = this.#stopping;
    await mkdir(dir, { recursive: true });
    const network = await PodNetwork.hold(this.#options.network ?? randomInt(16, 240));
    this.#network = network;
    const names = await ServiceNames.start(client, this.#hostsFile, signal);
    this.#names = names;
    this.#balancers = await LoadBalancers.start({
      client,
      signal,
      network: network.number,
      addressesOf: (name) => names.addressesOf(name),
    });
    this.#volumes = await LocalVolumes.start({
      client,
      dir: join(dir, 'claims'),
      nodes: this.#options.nodes,
      signal,
    });
    const refresh = (key: string) => this.#refresh(key.split('/')[0] ?? '');
    const follow = { client, signal, apiVersion: 'v1' };
    this.#secrets = await KubeCache.start({ ...follow, kind: 'Secret', changed: refresh });
    this.#configMaps = await KubeCache.start({ ...follow, kind: 'ConfigMap', changed: refresh });
    this.#logs = await KubeletLogs.start((namespace, pod, container) =>
      join(this.logDir(namespace, pod), `${container}.log`),
    );
    for (const node of this.#options.nodes) await this.#startNode(node);
    this.#bound = await KubeCache.start({
      ...follow,
      kind: 'Pod',
      changed: (key, pod) => this.#changed(key, pod),
    });
    // Tokens of service accounts have to be renewed.
    this.#refreshing = setInterval(() => this.#refresh(), refreshTokensMs);
  }

  async #startNode(node: NodeSpec): Promise<void> {
    const logsPort = this.#logs?.port;
    const agent = new NodeAgent(this.#options.client, node, logsPort);
    this.#agents.set(node.name, agent);
    await agent.start();
  }

  #runner(namespace: string, pod: string): PodRunner | undefined {
    return this.#pods.get(`${namespace}/${pod}`);
  }

  #runnersOf(node: string): PodRunner[] {
    return [...this.#pods.values()].filter(({ pod }) => pod.spec.nodeName === node);
  }

  #refresh(namespace?: string): void {
    for (const runner of this.#pods.values())
      if (namespace === undefined || runner.pod.metadata.namespace === namespace) runner.refresh();
  }

  #changed(key: string, object: KubeObject | undefined): void {
    if (this.#stopping.signal.aborted) return;
    const running = this.#pods.get(key);
    const pod = object === undefined ? undefined : podSchema.parse(object);
    if (running !== undefined && pod?.metadata.uid !== running.pod.metadata.uid)
      return this.#end(key, running, 0);
    const node = pod?.spec.nodeName;
    if (pod === undefined || node === undefined || !this.#agents.has(node)) return;
    if (this.#lost.has(node)) return;
    const { deletionTimestamp, deletionGracePeriodSeconds } = pod.metadata;
    if (deletionTimestamp !== undefined) {
      const graceMs = (deletionGracePeriodSeconds ?? graceSecondsDefault) * 1000;
      if (running !== undefined) this.#end(key, running, graceMs);
      else if (!this.#endingPods.has(pod.metadata.uid)) this.#track(this.#forget(pod));
      return;
    }
    running?.observe(object);
    if (running !== undefined || ['Succeeded', 'Failed'].includes(pod.status.phase)) return;
    const runner = this.#runnerOf(pod);
    this.#pods.set(key, runner);
    this.#track(runner.run());
  }

  readonly #endingPods = new Set<string>();

  /** Ends a pod's processes, then its object; another one may have taken its name by then. */
  #end(key: string, runner: PodRunner, graceMs: number): void {
    const { uid } = runner.pod.metadata;
    if (this.#endingPods.has(uid)) return;
    this.#endingPods.add(uid);
    const ending = async (): Promise<void> => {
      await runner.stop(graceMs);
      this.#pods.delete(key);
      await this.#forget(runner.pod);
      this.#endingPods.delete(uid);
      const next = this.#bound?.get(key);
      if (next !== undefined && next.metadata.uid !== uid) this.#changed(key, next);
    };
    this.#track(ending());
  }

  /** The kubelet has the last word: the object goes when its processes have. */
  async #forget({ metadata: { name, namespace, uid } }: Pod): Promise<void> {
    const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
    const content = { gracePeriodSeconds: 0, preconditions: { uid } };
    for (let attempt = 0; attempt < forgetAttempts; attempt += 1) {
      try {
        await this.#options.client.request('DELETE', path, { content });
        return;
      } catch (error) {
        if (error instanceof KubeApiError && [404, 409].includes(error.status)) return;
        if (this.#stopping.signal.aborted) return;
        await new Promise((resolve) => setTimeout(resolve, forgetDelayMs));
      }
    }
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#ending.delete(tracked));
    this.#ending.add(tracked);
  }

  #runnerOf(pod: Pod): PodRunner {
    const { client, dir, checkout = repository } = this.#options;
    const { name, namespace, uid } = pod.metadata;
    const podIp = this.#nextAddress();
    return new PodRunner({
      client,
      pod,
      podIp,
      dir: join(dir, 'pods', `${namespace}_${name}_${uid}`),
      logDir: this.logDir(namespace, name),
      checkout,
      data: this.#dataOf(namespace),
      claimFolder: (claim) => must(this.#volumes, 'volumes are served').folderOf(namespace, claim),
      environment: (command) => this.#environment(command, { podIp, namespace, name }),
    });
  }

  #environment(
    { command }: Command,
    of: { readonly podIp: string; readonly namespace: string; readonly name: string },
  ): Record<string, string> {
    const server = new URL(this.#options.client.access.server);
    const url = new URL(preload);
    url.searchParams.set('hosts', this.#hostsFile);
    url.searchParams.set('namespace', of.namespace);
    url.searchParams.set('address', of.podIp);
    // The file of names must be readable for a process that may read nothing else.
    const isFenced = command.includes('--permission');
    return {
      ...this.#options.environment,
      HOSTNAME: of.name,
      KUBERNETES_SERVICE_HOST: server.hostname,
      KUBERNETES_SERVICE_PORT: server.port,
      NODE_OPTIONS: `--import ${url.href}${isFenced ? ` --allow-fs-read=${this.#hostsFile}` : ''}`,
    };
  }

  #nextAddress(): string {
    this.#addresses = (this.#addresses % 65_000) + 1;
    return must(this.#network, 'a network is held').address(this.#addresses);
  }

  #dataOf(namespace: string): ObjectData {
    return {
      secret: (name) => {
        const secret = this.#secrets?.get(`${namespace}/${name}`);
        return secret && decoded(encodedSchema.parse(secret).data, 'base64');
      },
      configMap: (name) => {
        const found = this.#configMaps?.get(`${namespace}/${name}`);
        if (found === undefined) return undefined;
        const { data, binaryData } = configMapSchema.parse(found);
        return { ...decoded(data, 'utf8'), ...decoded(binaryData, 'base64') };
      },
    };
  }
}

const shutdownGraceMs = 10_000;
const forgetAttempts = 40;
const forgetDelayMs = 250;

function decoded(data: Readonly<Record<string, string>>, encoding: BufferEncoding): Contents {
  const entries = Object.entries(data).map(([key, value]): [string, Buffer] => [
    key,
    Buffer.from(value, encoding),
  ]);
  return Object.fromEntries(entries);
}

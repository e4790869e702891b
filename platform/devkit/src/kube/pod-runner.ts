import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { ContainerRunner } from './container-runner.ts';
import { KubeApiError, type KubeClient } from './kube-client.ts';
import { type Command, commandOf, type ObjectData } from './pod-command.ts';
import type { ContainerSpec, Pod } from './pod-spec.ts';
import { PodVolumes } from './pod-volumes.ts';

export interface PodRunnerOptions {
  readonly client: KubeClient;
  readonly pod: Pod;
  readonly podIp: string;
  /** Of this pod: its volumes. */
  readonly dir: string;
  /** Of this pod: a file for each container. */
  readonly logDir: string;
  readonly checkout: string;
  readonly data: ObjectData;
  readonly claimFolder: (claim: string) => string;
  /** What the kubelet adds to a container's own settings. */
  readonly environment: (command: Command) => Readonly<Record<string, string>>;
}

const retryMs = 250;
/** Tokens are written anew long before they end. */
const tokenRenewMs = 20 * 60_000;

/** The containers of one pod, from its binding to its end, and its status. */
export class PodRunner {
  readonly podIp: string;
  readonly #options: PodRunnerOptions;
  readonly #volumes: PodVolumes;
  readonly #containers: readonly ContainerRunner[];
  readonly #inits: readonly ContainerRunner[];
  readonly #startedAt = new Date().toISOString();
  readonly #transitions = new Map<string, { status: string; at: string }>();
  readonly #tokens = new Map<string, { token: string; atMs: number }>();
  #isInitialized = false;
  #isStopping = false;
  #isSilent = false;
  #sent: unknown;
  #publishing: Promise<void> | undefined;
  #isDirty = false;
  #isOverwritten = false;

  constructor(options: PodRunnerOptions) {
    this.#options = options;
    this.podIp = options.podIp;
    const { pod, podIp, dir, data, claimFolder } = options;
    this.#volumes = new PodVolumes({
      pod,
      podIp,
      dir,
      data,
      claimFolder,
      token: (audience, seconds) => this.#token(audience, seconds),
    });
    const { restartPolicy } = pod.spec;
    const ofInits = restartPolicy === 'Never' ? 'Never' : 'OnFailure';
    this.#inits = pod.spec.initContainers.map((spec) => this.#runner(spec, ofInits));
    this.#containers = pod.spec.containers.map((spec) => this.#runner(spec, restartPolicy));
  }

  get pod(): Pod {
    return this.#options.pod;
  }

  /** Of a container that runs, by its name. */
  pid(container: string): number | undefined {
    return this.#containers.find(({ spec }) => spec.name === container)?.pid;
  }

  /** Resolves when all containers have ended for good. */
  async run(): Promise<void> {
    this.#publish();
    for (const init of this.#inits) {
      await init.run();
      if (this.#isStopping) return;
      if (init.exitCode !== 0) return this.#publish();
    }
    this.#isInitialized = true;
    await Promise.all(this.#containers.map((container) => container.run()));
  }

  /** Secrets or ConfigMaps have changed: the files of volumes follow, settings do not. */
  refresh(): void {
    if (this.#isStopping) return;
    // What is missing is told by the container that needs it.
    void this.#volumes.write().catch(() => undefined);
  }

  /** The object as the API server has it: of a node that was thought lost it says that its pods are not ready. */
  observe(object: unknown): void {
    if (this.#sent === undefined || isReadyIn(object) === isReadyIn({ status: this.#sent })) return;
    this.#isOverwritten = true;
    this.#publish();
  }

  kill(signal: NodeJS.Signals): void {
    for (const container of this.#containers) container.kill(signal);
  }

  /** Nothing is reported any more, as of a node that was cut off. */
  silence(isSilent: boolean): void {
    this.#isSilent = isSilent;
    if (!isSilent) this.#publish();
  }

  /** Ends its processes and removes its files. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true;
    const all = [...this.#inits, ...this.#containers];
    await Promise.all(all.map((container) => container.stop(graceMs)));
    await this.#publishing;
    this.#isSilent = true;
    await this.#volumes.remove();
  }

  #runner(spec: ContainerSpec, restartPolicy: Pod['spec']['restartPolicy']): ContainerRunner {
    const { podIp, logDir } = this.#options;
    return new ContainerRunner({
      spec,
      restartPolicy,
      podIp,
      logFile: join(logDir, `${spec.name}.log`),
      command: () => this.#command(spec),
      changed: () => this.#publish(),
    });
  }

  async #command(container: ContainerSpec): Promise<Command> {
    const { pod, podIp, data, checkout, environment } = this.#options;
    await this.#volumes.write();
    const folders = await this.#volumes.foldersOf(container);
    const temporary = folders.get('/tmp');
    const all = new Map([['/app', checkout], ...folders]);
    const own = commandOf({ pod, container, podIp, data, folders: all });
    const added = environment(own);
    const env = { ...added, ...(temporary !== undefined && { TMPDIR: temporary }), ...own.env };
    const options = [added['NODE_OPTIONS'], own.env['NODE_OPTIONS']].filter(Boolean).join(' ');
    return { ...own, env: { ...env, NODE_OPTIONS: options } };
  }

  async #token(audience: string, expirationSeconds: number): Promise<string> {
    const held = this.#tokens.get(audience);
    if (held !== undefined && Date.now() - held.atMs < tokenRenewMs) return held.token;
    const { client, pod } = this.#options;
    const { namespace, name, uid } = pod.metadata;
    const account = pod.spec.serviceAccountName;
    const content = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        audiences: audience === '' ? [] : [audience],
        expirationSeconds: Math.max(600, expirationSeconds),
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
      },
    };
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`;
    const token = await client.token(path, content);
    this.#tokens.set(audience, { token, atMs: Date.now() });
    return token;
  }

  /** One report after the other, each of what is then so. */
  #publish(): void {
    this.#isDirty = true;
    this.#publishing ??= this.#report();
  }

  async #report(): Promise<void> {
    await sleep(0);
    while (this.#isDirty && !this.#isSilent) {
      this.#isDirty = false;
      await sleep(0);
      const status = this.#status();
      if (isDeepStrictEqual(status, this.#sent) && !this.#isOverwritten) continue;
      this.#isOverwritten = false;
      if (await this.#send(status)) this.#sent = status;
      else if (!this.#isStopping) this.#isDirty = true;
    }
    // At once: what changes from here on is of the next report.
    this.#publishing = undefined;
  }

  /** False: try again. */
  async #send(status: object): Promise<boolean> {
    const { client, pod } = this.#options;
    const { name, namespace, uid } = pod.metadata;
    const place = { name, namespace, subresource: 'status' };
    try {
      await client.patch('v1', 'Pod', place, { metadata: { uid }, status });
      return true;
    } catch (error) {
      // Gone, or another of the same name; what many changed at once (409) is told again.
      if (error instanceof KubeApiError && [404, 422].includes(error.status)) return true;
      await sleep(retryMs);
      return false;
    }
  }

  #status(): object {
    const codes = this.#containers.map(({ exitCode }) => exitCode);
    const initFailed = this.#inits.some(({ exitCode }) => (exitCode ?? 0) !== 0);
    const isOver = codes.every((code) => code !== undefined) && codes.length > 0;
    const hasFailed = codes.some((code) => (code ?? 0) !== 0);
    const isReady = this.#containers.every((container) => container.isReady);
    const isRunning = this.#containers.some(({ pid }) => pid !== undefined);
    const ended = isOver || (initFailed && this.#options.pod.spec.restartPolicy === 'Never');
    const ongoing = isRunning || this.#sentRunning() ? 'Running' : 'Pending';
    const phase = ended ? (hasFailed || initFailed ? 'Failed' : 'Succeeded') : ongoing;
    const ip = this.podIp;
    return {
      phase,
      hostIP: '127.0.0.1',
      podIP: ip,
      podIPs: [{ ip }],
      startTime: this.#startedAt,
      conditions: [
        this.#condition('PodScheduled', true),
        this.#condition('Initialized', this.#isInitialized),
        this.#condition('ContainersReady', isReady),
        this.#condition('Ready', isReady),
      ],
      initContainerStatuses: this.#inits.map((init) => init.status()),
      containerStatuses: this.#containers.map((container) => container.status()),
    };
  }

  /** A pod that waits between two runs of its container is still running. */
  #sentRunning(): boolean {
    return JSON.stringify(this.#sent ?? {}).startsWith('{"phase":"Running"');
  }

  #condition(type: string, holds: boolean): object {
    const status = holds ? 'True' : 'False';
    const before = this.#transitions.get(type);
    const at = before?.status === status ? before.at : new Date().toISOString();
    this.#transitions.set(type, { status, at });
    return { type, status, lastTransitionTime: at };
  }
}

const conditioned = z.object({
  status: z.object({ conditions: z.array(z.object({ type: z.string(), status: z.string() })) }),
});

function isReadyIn(object: unknown): boolean {
  const read = conditioned.safeParse(object);
  const conditions = read.success ? read.data.status.conditions : [];
  return conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
}

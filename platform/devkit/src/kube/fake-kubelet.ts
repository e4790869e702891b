import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { follow } from './follow.ts';
import { KubeApiError, type KubeClient, type KubeObject } from './kube-client.ts';
import { NodeAgent, type NodeSpec } from './node-agent.ts';

/** What becomes of a pod that is bound to one of the nodes. */
export type PodOutcome = 'running' | 'not-ready' | 'succeeded' | 'failed' | 'ignored';

export interface FakeKubeletOptions {
  readonly client: KubeClient;
  readonly nodes: readonly NodeSpec[];
  /** Default: all are running. */
  readonly outcomeOf?: (pod: KubeObject) => PodOutcome;
}

const podSchema = z.looseObject({
  spec: z.looseObject({
    nodeName: z.string().optional(),
    containers: z.array(z.looseObject({ name: z.string(), image: z.string().default('') })),
  }),
  status: z.looseObject({ phase: z.string().default('Pending') }).prefault({}),
});

const retryDelayMs = 250;

/** Nodes that are ready and pods that are running at once, without a process behind them. */
export class FakeKubelet implements AsyncDisposable {
  readonly #options: FakeKubeletOptions;
  readonly #agents: readonly NodeAgent[];
  readonly #stopping = new AbortController();
  readonly #playing = new Set<Promise<void>>();
  #following: Promise<void> = Promise.resolve();
  #pods = 0;

  constructor(options: FakeKubeletOptions) {
    this.#options = options;
    this.#agents = options.nodes.map((node) => new NodeAgent(options.client, node));
  }

  async start(): Promise<void> {
    await Promise.all(this.#agents.map((agent) => agent.start()));
    this.#following = follow(this.#options.client, {
      apiVersion: 'v1',
      kind: 'Pod',
      signal: this.#stopping.signal,
      onList: (pods) => pods.forEach((pod) => this.#heard(pod)),
      onChange: (type, pod) => void (type === 'DELETED' || this.#heard(pod)),
    });
  }

  /** One node is cut off: the node controller finds it unreachable after about 50 s. Its pods stay as they are. */
  async loseNode(name: string): Promise<void> {
    await this.#agents.find(({ spec }) => spec.name === name)?.[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#following;
    await Promise.all([
      ...this.#playing,
      ...this.#agents.map((agent) => agent[Symbol.asyncDispose]()),
    ]);
  }

  #heard(pod: KubeObject): void {
    const playing = this.#play(pod).finally(() => this.#playing.delete(playing));
    this.#playing.add(playing);
  }

  /** Again until it is done: a watch that goes on does not repeat what it told. */
  async #play(pod: KubeObject): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        return await this.#act(pod);
      } catch (error) {
        // Gone or changed: that is told by another event.
        if (error instanceof KubeApiError && [404, 409].includes(error.status)) return;
        await sleep(retryDelayMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async #act(pod: KubeObject): Promise<void> {
    const { client, nodes, outcomeOf = () => 'running' } = this.#options;
    const { name, namespace = 'default', deletionTimestamp } = pod.metadata;
    const { spec, status } = podSchema.parse(pod);
    if (!nodes.some((node) => node.name === spec.nodeName)) return;
    if (deletionTimestamp !== undefined)
      return client.delete('v1', 'Pod', { name, namespace, graceSeconds: 0 });
    const outcome = outcomeOf(pod);
    if (status.phase !== 'Pending' || outcome === 'ignored') return;
    const place = { name, namespace, subresource: 'status' };
    this.#pods += 1;
    const ip = `10.244.${(this.#pods >> 8) & 255}.${this.#pods & 255}`;
    await client.patch('v1', 'Pod', place, { status: statusOf(spec.containers, outcome, ip) });
  }
}

function statusOf(
  containers: readonly { readonly name: string; readonly image: string }[],
  outcome: Exclude<PodOutcome, 'ignored'>,
  ip: string,
): object {
  const now = new Date().toISOString();
  const isOver = outcome === 'succeeded' || outcome === 'failed';
  const phases = {
    succeeded: 'Succeeded',
    failed: 'Failed',
    running: 'Running',
    'not-ready': 'Running',
  };
  const ready = outcome === 'running';
  const condition = (type: string, holds: boolean) => ({
    type,
    status: holds ? 'True' : 'False',
    lastTransitionTime: now,
  });
  const exitCode = outcome === 'failed' ? 1 : 0;
  const terminated = {
    exitCode,
    reason: exitCode === 0 ? 'Completed' : 'Error',
    startedAt: now,
    finishedAt: now,
  };
  return {
    phase: phases[outcome],
    hostIP: '127.0.0.1',
    podIP: ip,
    podIPs: [{ ip }],
    startTime: now,
    conditions: [
      condition('PodScheduled', true),
      condition('Initialized', true),
      condition('ContainersReady', ready),
      condition('Ready', ready),
    ],
    containerStatuses: containers.map(({ name, image }) => ({
      name,
      image,
      imageID: '',
      ready,
      started: !isOver,
      restartCount: 0,
      state: isOver ? { terminated } : { running: { startedAt: now } },
    })),
  };
}

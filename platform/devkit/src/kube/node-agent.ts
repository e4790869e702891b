import { setTimeout as sleep } from 'node:timers/promises';
import { KubeApiError, type KubeClient } from './kube-client.ts';

export interface NodeSpec {
  readonly name: string;
  readonly region: string;
  readonly zone: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Between two renewals of its lease; default 10 s, as a kubelet. Far below the grace of the node controller. */
  readonly heartbeatMs?: number;
}

const heartbeatMsDefault = 10_000;
const leaseSeconds = 40;
const size = { cpu: '64', memory: '256Gi', pods: '500', 'ephemeral-storage': '500Gi' };

/** Registers a Node as ready and renews its lease. Without renewals the node controller marks it unreachable after about 50 s. */
export class NodeAgent implements AsyncDisposable {
  readonly spec: NodeSpec;
  readonly #client: KubeClient;
  readonly #logsPort: number | undefined;
  readonly #stopping = new AbortController();
  #beating: Promise<void> = Promise.resolve();

  /** `logsPort`: where the API server asks for the output of containers. */
  constructor(client: KubeClient, spec: NodeSpec, logsPort?: number) {
    this.#client = client;
    this.spec = spec;
    this.#logsPort = logsPort;
  }

  /** Labels that someone changed are left as they are if the node is there already. */
  async start(): Promise<void> {
    const { name, region, zone, labels = {} } = this.spec;
    const node = {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: {
        name,
        labels: {
          'kubernetes.io/hostname': name,
          'kubernetes.io/os': 'linux',
          'kubernetes.io/arch': 'amd64',
          'topology.kubernetes.io/region': region,
          'topology.kubernetes.io/zone': zone,
          ...labels,
        },
      },
    };
    await this.#client.create(node).catch((error: unknown) => {
      if (!(error instanceof KubeApiError && error.status === 409)) throw error;
    });
    await this.#say('True');
    await this.#renew();
    this.#beating = this.#beat();
  }

  /** The lease is not renewed any more, as of a node that was cut off. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#beating;
  }

  async #say(ready: 'True' | 'False'): Promise<void> {
    const now = new Date().toISOString();
    const condition = {
      type: 'Ready',
      status: ready,
      reason: 'Devkit',
      message: '',
      lastHeartbeatTime: now,
      lastTransitionTime: now,
    };
    const status = {
      capacity: size,
      allocatable: size,
      addresses: [
        { type: 'Hostname', address: this.spec.name },
        { type: 'InternalIP', address: '127.0.0.1' },
      ],
      conditions: [condition],
      ...(this.#logsPort !== undefined && {
        daemonEndpoints: { kubeletEndpoint: { Port: this.#logsPort } },
      }),
      nodeInfo: {
        architecture: 'amd64',
        bootID: '',
        containerRuntimeVersion: 'none',
        kernelVersion: '',
        kubeProxyVersion: '',
        kubeletVersion: 'v1.36.3-devkit',
        machineID: '',
        operatingSystem: 'linux',
        osImage: '',
        systemUUID: '',
      },
    };
    const place = { name: this.spec.name, subresource: 'status' };
    await this.#client.patch('v1', 'Node', place, { status });
  }

  async #beat(): Promise<void> {
    const { signal } = this.#stopping;
    const { heartbeatMs = heartbeatMsDefault } = this.spec;
    while (!signal.aborted) {
      await sleep(heartbeatMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      // The server may be away on purpose; a node that was marked meanwhile is ready again.
      await this.#renew().catch(() => undefined);
      await this.#reviveIfMarked().catch(() => undefined);
    }
  }

  async #renew(): Promise<void> {
    await this.#client.apply({
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: this.spec.name, namespace: 'kube-node-lease' },
      spec: {
        holderIdentity: this.spec.name,
        leaseDurationSeconds: leaseSeconds,
        renewTime: new Date().toISOString().replace('Z', '000Z'),
      },
    });
  }

  async #reviveIfMarked(): Promise<void> {
    const node = await this.#client.get('v1', 'Node', { name: this.spec.name });
    if (JSON.stringify(node['status']).includes('NodeStatusUnknown')) await this.#say('True');
  }
}

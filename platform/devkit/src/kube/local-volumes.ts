import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { KubeCache } from './kube-cache.ts';
import { KubeApiError, type KubeClient, type KubeObject } from './kube-client.ts';
import type { NodeSpec } from './node-agent.ts';

const className = 'folders';
const claimSchema = z.looseObject({
  spec: z.looseObject({
    storageClassName: z.string().optional(),
    accessModes: z.array(z.string()).default(['ReadWriteOnce']),
    resources: z
      .looseObject({ requests: z.record(z.string(), z.string()).default({}) })
      .prefault({}),
  }),
  status: z.looseObject({ phase: z.string().default('Pending') }).prefault({}),
});

export interface LocalVolumesOptions {
  readonly client: KubeClient;
  readonly dir: string;
  readonly nodes: readonly NodeSpec[];
  readonly signal: AbortSignal;
}

const selectedNode = 'volume.kubernetes.io/selected-node';
const retryMs = 1_000;

/**
 * Gives each PersistentVolumeClaim a folder once a pod wants it: a storage class, the default one, and a volume a claim, tied to the
 * zone of the node that was chosen, as a disk would be. Folders stay.
 */
export class LocalVolumes {
  readonly #client: KubeClient;
  readonly #dir: string;
  readonly #nodes: readonly NodeSpec[];
  readonly #signal: AbortSignal;
  readonly #binding = new Set<Promise<void>>();
  #claims: KubeCache | undefined;

  private constructor({ client, dir, nodes, signal }: LocalVolumesOptions) {
    this.#client = client;
    this.#dir = dir;
    this.#nodes = nodes;
    this.#signal = signal;
  }

  static async start(options: LocalVolumesOptions): Promise<LocalVolumes> {
    const { client, signal } = options;
    const volumes = new LocalVolumes(options);
    await client.apply({
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: {
        name: className,
        annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' },
      },
      provisioner: 'devkit.domicile.dev/folders',
      volumeBindingMode: 'WaitForFirstConsumer',
    });
    volumes.#claims = await KubeCache.start({
      client,
      signal,
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      changed: (_key, claim) => volumes.#changed(claim),
    });
    return volumes;
  }

  folderOf(namespace: string, claim: string): string {
    const folder = join(this.#dir, namespace, claim);
    mkdirSync(folder, { recursive: true });
    return folder;
  }

  async ended(): Promise<void> {
    await this.#claims?.ended();
    await Promise.all(this.#binding);
  }

  #changed(claim: KubeObject | undefined): void {
    if (claim === undefined) return;
    const { spec, status } = claimSchema.parse(claim);
    const name = claim.metadata.annotations[selectedNode];
    const node = this.#nodes.find((one) => one.name === name);
    if (status.phase !== 'Pending' || spec.storageClassName !== className || node === undefined)
      return;
    const binding = this.#provide(claim, node).finally(() => this.#binding.delete(binding));
    this.#binding.add(binding);
  }

  /** Again while the API server is away, or refuses it for now. */
  async #provide(claim: KubeObject, node: NodeSpec): Promise<void> {
    while (!this.#signal.aborted) {
      try {
        return await this.#create(claim, node);
      } catch (error) {
        if (error instanceof KubeApiError && error.status === 409) return; // it is there already
        await sleep(retryMs, undefined, { signal: this.#signal }).catch(() => undefined);
      }
    }
  }

  async #create({ metadata, ...claim }: KubeObject, node: NodeSpec): Promise<void> {
    const { spec } = claimSchema.parse(claim);
    const { name, namespace = 'default', uid } = metadata;
    const term = { matchExpressions: [pin('region', node.region), pin('zone', node.zone)] };
    await this.#client.create({
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: `pvc-${uid}` },
      spec: {
        accessModes: spec.accessModes,
        capacity: { storage: spec.resources.requests['storage'] ?? '1Gi' },
        claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', name, namespace, uid },
        hostPath: { path: this.folderOf(namespace, name) },
        nodeAffinity: { required: { nodeSelectorTerms: [term] } },
        persistentVolumeReclaimPolicy: 'Retain',
        storageClassName: className,
      },
    });
  }
}

function pin(label: string, value: string): object {
  return { key: `topology.kubernetes.io/${label}`, operator: 'In', values: [value] };
}

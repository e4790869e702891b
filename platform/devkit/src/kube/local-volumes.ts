import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { KubeCache } from './kube-cache.ts';
import { KubeApiError, type KubeClient, type KubeObject } from './kube-client.ts';

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

/** Gives each PersistentVolumeClaim a folder: a storage class, the default one, and a volume a claim. Folders stay. */
export class LocalVolumes {
  readonly #client: KubeClient;
  readonly #dir: string;
  readonly #binding = new Set<Promise<void>>();
  #claims: KubeCache | undefined;

  private constructor(client: KubeClient, dir: string) {
    this.#client = client;
    this.#dir = dir;
  }

  static async start(client: KubeClient, dir: string, signal: AbortSignal): Promise<LocalVolumes> {
    const volumes = new LocalVolumes(client, dir);
    await client.apply({
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: {
        name: className,
        annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' },
      },
      provisioner: 'devkit.domicile.dev/folders',
      volumeBindingMode: 'Immediate',
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
    if (status.phase !== 'Pending' || spec.storageClassName !== className) return;
    const binding = this.#provide(claim)
      .catch((error: unknown) => {
        if (!(error instanceof KubeApiError)) throw error; // its volume is there already
      })
      .finally(() => this.#binding.delete(binding));
    this.#binding.add(binding);
  }

  async #provide({ metadata, ...claim }: KubeObject): Promise<void> {
    const { spec } = claimSchema.parse(claim);
    const { name, namespace = 'default', uid } = metadata;
    await this.#client.create({
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: `pvc-${uid}` },
      spec: {
        accessModes: spec.accessModes,
        capacity: { storage: spec.resources.requests['storage'] ?? '1Gi' },
        claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', name, namespace, uid },
        hostPath: { path: this.folderOf(namespace, name) },
        persistentVolumeReclaimPolicy: 'Retain',
        storageClassName: className,
      },
    });
  }
}

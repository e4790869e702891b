import { rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { KubeCache } from './kube-cache.ts';
import type { KubeClient, KubeObject } from './kube-client.ts';

const podSchema = z.looseObject({
  spec: z.looseObject({ hostname: z.string().optional(), subdomain: z.string().optional() }),
  status: z
    .looseObject({
      podIP: z.string().optional(),
      conditions: z.array(z.looseObject({ type: z.string(), status: z.string() })).default([]),
    })
    .prefault({}),
});
const serviceSchema = z.looseObject({
  spec: z
    .looseObject({
      clusterIP: z.string().optional(),
      selector: z.record(z.string(), z.string()).default({}),
      publishNotReadyAddresses: z.boolean().default(false),
    })
    .prefault({}),
});

interface Endpoint {
  readonly address: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly isReady: boolean;
  readonly hostname: string | undefined;
  readonly subdomain: string | undefined;
}

/** Nobody listens there: what a Service without a ready pod answers is a refused connection. */
const nobody = '127.255.255.254';

/**
 * Writes the addresses of the ready pods of each Service, by `{service}.{namespace}`, to a file that pods read. By the selector and
 * not by EndpointSlices: the API server refuses addresses of loopback in those.
 */
export class ServiceNames {
  readonly #file: string;
  #services: KubeCache | undefined;
  #pods: KubeCache | undefined;
  #writing: Promise<void> = Promise.resolve();
  #written = '';
  #isDue = false;

  private constructor(file: string) {
    this.#file = file;
  }

  static async start(client: KubeClient, file: string, signal: AbortSignal): Promise<ServiceNames> {
    const names = new ServiceNames(file);
    const changed = () => names.#changed();
    const options = { client, signal, changed };
    names.#services = await KubeCache.start({ ...options, apiVersion: 'v1', kind: 'Service' });
    names.#pods = await KubeCache.start({
      ...options,
      apiVersion: 'v1',
      kind: 'Pod',
    });
    names.#changed();
    await names.#writing;
    return names;
  }

  /** Of the ready pods of `{service}.{namespace}`. */
  addressesOf(name: string): readonly string[] {
    return (this.#found()[name] ?? []).filter((address) => address !== nobody);
  }

  async ended(): Promise<void> {
    await Promise.all([this.#services?.ended(), this.#pods?.ended()]);
    await this.#writing;
  }

  #changed(): void {
    if (this.#isDue || this.#pods === undefined) return;
    this.#isDue = true;
    this.#writing = this.#writing.then(() => this.#write());
  }

  async #write(): Promise<void> {
    this.#isDue = false;
    const content = JSON.stringify(this.#found(), undefined, 1);
    if (content === this.#written) return;
    await writeFile(`${this.#file}.new`, content);
    await rename(`${this.#file}.new`, this.#file);
    this.#written = content;
  }

  #found(): Record<string, string[]> {
    const found = new Map<string, string[]>();
    const endpoints = (this.#pods?.values() ?? []).flatMap(endpointOf);
    for (const service of this.#services?.values() ?? []) {
      const { namespace = 'default' } = service.metadata;
      const name = `${service.metadata.name}.${namespace}`;
      const { clusterIP, selector, publishNotReadyAddresses } = serviceSchema.parse(service).spec;
      const selected = Object.entries(selector);
      const behind = endpoints.filter(
        (one) =>
          one.namespace === namespace &&
          selected.length > 0 &&
          selected.every(([label, value]) => one.labels[label] === value) &&
          (one.isReady || publishNotReadyAddresses),
      );
      const addresses = behind.map(({ address }) => address).toSorted();
      if (addresses.length > 0 || clusterIP !== 'None')
        found.set(name, addresses.length > 0 ? addresses : [nobody]);
      for (const { hostname, subdomain, address } of behind)
        if (hostname !== undefined && subdomain === service.metadata.name)
          found.set(`${hostname}.${name}`, [address]);
    }
    return Object.fromEntries([...found].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  }
}

/** None of a pod that has no address or is about to end. */
function endpointOf(pod: KubeObject): Endpoint[] {
  const { namespace = 'default', labels, deletionTimestamp } = pod.metadata;
  const { spec, status } = podSchema.parse(pod);
  const { podIP: address, conditions } = status;
  if (address === undefined || deletionTimestamp !== undefined) return [];
  const isReady = conditions.some(
    ({ type, status: holds }) => type === 'Ready' && holds === 'True',
  );
  const { hostname, subdomain } = spec;
  return [{ address, namespace, labels, isReady, hostname, subdomain }];
}

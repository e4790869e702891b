import { rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { KubeCache } from './kube-cache.ts';
import type { KubeClient } from './kube-client.ts';

const sliceSchema = z.looseObject({
  addressType: z.string(),
  endpoints: z
    .array(
      z.looseObject({
        addresses: z.array(z.string()),
        hostname: z.string().optional(),
        conditions: z.looseObject({ ready: z.boolean().optional() }).prefault({}),
      }),
    )
    .nullish()
    .transform((endpoints) => endpoints ?? []),
});
const serviceSchema = z.looseObject({
  spec: z.looseObject({ clusterIP: z.string().optional() }).prefault({}),
});

/** Nobody listens there: what a Service without a ready pod answers is a refused connection. */
const nobody = '127.255.255.254';

/** Writes the addresses of the ready pods of each Service, by `{service}.{namespace}`, to a file that pods read. */
export class ServiceNames {
  readonly #file: string;
  #services: KubeCache | undefined;
  #slices: KubeCache | undefined;
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
    names.#slices = await KubeCache.start({
      ...options,
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
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
    await Promise.all([this.#services?.ended(), this.#slices?.ended()]);
    await this.#writing;
  }

  #changed(): void {
    if (this.#isDue || this.#slices === undefined) return;
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
    const found = new Map<string, Set<string>>();
    const add = (name: string, addresses: readonly string[]) => {
      const all = found.get(name) ?? new Set<string>();
      for (const address of addresses) all.add(address);
      found.set(name, all);
    };
    for (const slice of this.#slices?.values() ?? []) {
      const service = slice.metadata.labels['kubernetes.io/service-name'];
      if (service === undefined) continue;
      const name = `${service}.${slice.metadata.namespace ?? 'default'}`;
      for (const { addresses, hostname, conditions } of sliceSchema.parse(slice).endpoints) {
        if (conditions.ready === false) continue;
        add(name, addresses);
        if (hostname !== undefined) add(`${hostname}.${name}`, addresses);
      }
    }
    for (const service of this.#services?.values() ?? []) {
      const name = `${service.metadata.name}.${service.metadata.namespace ?? 'default'}`;
      const isHeadless = serviceSchema.parse(service).spec.clusterIP === 'None';
      if (!isHeadless && !found.has(name)) add(name, [nobody]);
    }
    const sorted = [...found].toSorted(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(sorted.map(([name, all]) => [name, [...all].toSorted()]));
  }
}

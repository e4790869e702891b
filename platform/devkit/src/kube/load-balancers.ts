import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { KubeCache } from './kube-cache.ts';
import { KubeApiError, type KubeClient, type KubeObject } from './kube-client.ts';

const serviceSchema = z.looseObject({
  spec: z.looseObject({
    type: z.string().default('ClusterIP'),
    ports: z
      .array(
        z.looseObject({
          port: z.number(),
          protocol: z.string().default('TCP'),
          targetPort: z.union([z.number(), z.string()]).optional(),
        }),
      )
      .default([]),
  }),
  status: z
    .looseObject({ loadBalancer: z.looseObject({ ingress: z.unknown().optional() }).prefault({}) })
    .prefault({}),
});

export interface LoadBalancersOptions {
  readonly client: KubeClient;
  readonly signal: AbortSignal;
  /** The second byte of the addresses given out. */
  readonly network: number;
  /** Of the ready pods of `{service}.{namespace}`. */
  readonly addressesOf: (name: string) => readonly string[];
}

const connectTimeoutMs = 5_000;
const retryMs = 250;

/** Gives each Service of type LoadBalancer an address on loopback, and connects what comes there to one of its ready pods. */
export class LoadBalancers {
  readonly #options: LoadBalancersOptions;
  readonly #addresses = new Map<string, string>();
  readonly #listening = new Map<string, Server>();
  readonly #sockets = new Set<Socket>();
  readonly #telling = new Set<Promise<unknown>>();
  #services: KubeCache | undefined;

  private constructor(options: LoadBalancersOptions) {
    this.#options = options;
  }

  static async start(options: LoadBalancersOptions): Promise<LoadBalancers> {
    const balancers = new LoadBalancers(options);
    balancers.#services = await KubeCache.start({
      client: options.client,
      signal: options.signal,
      apiVersion: 'v1',
      kind: 'Service',
      changed: (key, service) => balancers.#changed(key, service),
    });
    return balancers;
  }

  async ended(): Promise<void> {
    await this.#services?.ended();
    for (const server of this.#listening.values()) server.close();
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#telling);
  }

  #changed(key: string, service: KubeObject | undefined): void {
    if (this.#options.signal.aborted) return;
    const parsed = service && serviceSchema.parse(service);
    const ports = parsed?.spec.type === 'LoadBalancer' ? parsed.spec.ports : [];
    const wanted = new Map(
      ports.flatMap(({ port, protocol }) => (protocol === 'TCP' ? [[`${key}:${port}`, port]] : [])),
    );
    for (const [name, server] of this.#listening) {
      if (!name.startsWith(`${key}:`) || wanted.has(name)) continue;
      server.close();
      this.#listening.delete(name);
    }
    if (service === undefined || wanted.size === 0) return;
    const address = this.#addressOf(key);
    for (const [name, port] of wanted)
      if (!this.#listening.has(name)) this.#listen(name, { key, address, port });
    if (parsed?.status.loadBalancer.ingress === undefined) this.#tell(service, address);
  }

  #addressOf(key: string): string {
    const address =
      this.#addresses.get(key) ?? `127.${this.#options.network}.255.${this.#addresses.size + 1}`;
    this.#addresses.set(key, address);
    return address;
  }

  #listen(name: string, at: { key: string; address: string; port: number }): void {
    const server = createServer({ pauseOnConnect: true }, (socket) => this.#join(socket, at));
    // Somebody else has that port: the Service stays without it.
    server.once('error', () => this.#listening.delete(name));
    server.listen(at.port, at.address);
    this.#listening.set(name, server);
  }

  #join(incoming: Socket, { key, port }: { key: string; port: number }): void {
    const [namespace = '', service = ''] = key.split('/');
    const addresses = this.#options.addressesOf(`${service}.${namespace}`);
    const host = addresses[Math.floor(Math.random() * addresses.length)];
    incoming.on('error', () => incoming.destroy());
    if (host === undefined) return void incoming.destroy();
    const outgoing = connect({ host, port, timeout: connectTimeoutMs });
    this.#sockets.add(incoming).add(outgoing);
    const end = (): void => {
      for (const socket of [incoming, outgoing]) {
        socket.destroy();
        this.#sockets.delete(socket);
      }
    };
    outgoing.once('connect', () => outgoing.setTimeout(0));
    outgoing.once('timeout', end);
    for (const socket of [incoming, outgoing]) socket.on('error', end).on('close', end);
    incoming.pipe(outgoing).pipe(incoming);
  }

  #tell(service: KubeObject, ip: string): void {
    const { name, namespace = 'default' } = service.metadata;
    const place = { name, namespace, subresource: 'status' };
    const status = { loadBalancer: { ingress: [{ ip }] } };
    const { client, signal } = this.#options;
    /** Again while the API server is away: nobody changes the Service for that. */
    const tell = async (): Promise<void> => {
      while (!signal.aborted) {
        try {
          return void (await client.patch('v1', 'Service', place, { status }));
        } catch (error) {
          if (error instanceof KubeApiError && [404, 422].includes(error.status)) return;
          await sleep(retryMs, undefined, { signal }).catch(() => undefined);
        }
      }
    };
    const telling = tell().finally(() => this.#telling.delete(telling));
    this.#telling.add(telling);
  }
}

export function addressOf(service: KubeObject): string | undefined {
  const ingress = z
    .array(z.looseObject({ ip: z.string().optional() }))
    .safeParse(serviceSchema.parse(service).status.loadBalancer.ingress);
  return ingress.data?.[0]?.ip;
}

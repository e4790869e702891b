import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CountryPack, parseCountryPack } from '@domicile/core/country-pack.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { lowerCountry } from '@domicile/core/identities.ts';
import { KafkaCluster } from '@domicile/devkit/kafka-cluster.ts';
import { KubeTestbed } from '@domicile/devkit/kube/kube-testbed.ts';
import { type KubeTools, kubeTools } from '@domicile/devkit/kube/kube-tools.ts';
import { ProcessKubelet } from '@domicile/devkit/kube/process-kubelet.ts';
import { startLoop } from '@domicile/runtime/service.ts';
import { parse } from 'yaml';
import { baseEnvironment } from './config.ts';
import { DemoUsers } from './demo-users.ts';
import { type Buckets, startBuckets } from './kube-buckets.ts';
import { nodesOf, secretsOf, type UpFile, upFileOf, valuesOf } from './kube-values.ts';
import { Ports } from './ports.ts';
import { writePrivate } from './secrets.ts';
import { Supervisor } from './supervisor.ts';

export interface KubeCountryOptions {
  /** As in the name of its pack: `de`. */
  readonly country: string;
  readonly dir: string;
  readonly brokers: 1 | 3;
  /** Of its pods' addresses, as the process kubelet takes it; default: at random. */
  readonly network?: number;
  /** What is being done, one line. */
  readonly say: (text: string) => void;
}

const root = join(import.meta.dirname, '../../..');
const readyTimeoutMs = 60_000;
const stopTimeoutMs = 10_000;
const restartAfterMs = 1_000;
const kafkaUser = 'cell-admin';
/** What was killed with its holder may write a moment longer. */
const removal = { recursive: true, force: true, maxRetries: 10, retryDelay: 100 } as const;
/** Of a cluster, below the folder of its country. */
const clusterFolders = ['control-plane', 'kubelet'];
export const operatorNamespace = 'domicile-system';

/**
 * What an SRE has before Domicile comes: a Kubernetes of one country, with a Kafka, a bucket store and an identity provider beside
 * it, and the credentials of both as Secrets. Nothing of Domicile is installed in it.
 */
export class KubeCountry implements AsyncDisposable {
  readonly file: UpFile;
  readonly outside: Outside;
  readonly #options: KubeCountryOptions;
  readonly #pack: CountryPack;
  readonly #stack: AsyncDisposableStack;
  #cluster: Cluster;

  /** What was there of an earlier start is removed. */
  static async start(options: KubeCountryOptions): Promise<KubeCountry> {
    const pack = await packOf(options.country);
    await rm(options.dir, removal);
    await mkdir(options.dir, { recursive: true, mode: 0o700 });
    await using stack = new AsyncDisposableStack();
    const tools = await kubeTools();
    const outside = await startOutside(options, pack, stack);
    const cluster = await startCluster(options, pack);
    stack.use(cluster);
    options.say('Secrets and values');
    await cluster.bed.client.applyAll(
      secretsOf(operatorNamespace, {
        kafka: { username: kafkaUser, password: outside.kafkaPassword },
        lake: outside.buckets.credentials,
      }),
    );
    const file = await writeFiles({ ...options, pack, tools, outside, bed: cluster.bed });
    return new KubeCountry({ file, outside, cluster, options, pack, stack: stack.move() });
  }

  private constructor(of: {
    readonly file: UpFile;
    readonly outside: Outside;
    readonly cluster: Cluster;
    readonly options: KubeCountryOptions;
    readonly pack: CountryPack;
    readonly stack: AsyncDisposableStack;
  }) {
    this.file = of.file;
    this.outside = of.outside;
    this.#cluster = of.cluster;
    this.#options = of.options;
    this.#pack = of.pack;
    this.#stack = of.stack;
  }

  get bed(): KubeTestbed {
    return this.#cluster.bed;
  }

  get kubelet(): ProcessKubelet {
    return this.#cluster.kubelet;
  }

  get kafka(): KafkaCluster {
    return this.outside.kafka;
  }

  get buckets(): Buckets {
    return this.outside.buckets;
  }

  /**
   * The cluster is lost with etcd, nodes, volumes and Secrets, and an empty one takes its place, under the same path of the
   * kubeconfig; what is outside of it goes on.
   */
  async loseCluster(): Promise<void> {
    const { dir, say } = this.#options;
    say('the cluster is lost');
    await this.#cluster.kubelet.cutPower();
    await this.#cluster[Symbol.asyncDispose]();
    for (const part of clusterFolders) await rm(join(dir, part), removal);
    this.#cluster = await startCluster(this.#options, this.#pack);
    this.#stack.use(this.#cluster);
    say('another one is there, and empty');
  }

  /** Pods first, and what they stand on after them. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** What is there before the cluster, and outlives it. */
export interface Outside {
  readonly kafka: KafkaCluster;
  readonly kafkaPassword: string;
  readonly buckets: Buckets;
  readonly users: DemoUsers;
  readonly issuer: string;
}

interface Cluster extends AsyncDisposable {
  readonly bed: KubeTestbed;
  readonly kubelet: ProcessKubelet;
}

async function startOutside(
  { dir, brokers, say }: KubeCountryOptions,
  pack: CountryPack,
  stack: AsyncDisposableStack,
): Promise<Outside> {
  const ports = await Ports.open(join(dir, 'ports.json'));
  say(`Kafka: ${brokers} broker${brokers === 1 ? '' : 's'}`);
  const kafkaPassword = randomBytes(18).toString('base64url');
  const kafka = await KafkaCluster.start({
    nodes: brokers,
    dataDir: join(dir, 'kafka'),
    racks: pack.regions,
    security: { kind: 'scram', passwords: { [kafkaUser]: kafkaPassword } },
    properties: { 'super.users': `User:admin;User:${kafkaUser}` },
    onRestart: (node, outcome) => say(`! Kafka ${node} ended (${outcome}) and is started again`),
  });
  stack.defer(() => kafka.stop());
  const supervisor = new Supervisor({
    restarted: (name, outcome) => say(`! ${name} ended (${outcome}) and is started again`),
  });
  say('buckets and the identity provider');
  const buckets = await startBuckets({ dir, pack, ports, stack });
  const issuer = `http://127.0.0.1:${await ports.of('issuer')}`;
  const users = await DemoUsers.open(join(dir, 'identity'), issuer, [pack.country]);
  await startIdentity({ dir, pack, issuer, supervisor, ports });
  stack.defer(() => supervisor.stop('identity', stopTimeoutMs));
  return { kafka, kafkaPassword, buckets, users, issuer };
}

async function startCluster(
  { dir, network, say }: KubeCountryOptions,
  pack: CountryPack,
): Promise<Cluster> {
  await using stack = new AsyncDisposableStack();
  say('Kubernetes: etcd, API server, controller manager, scheduler');
  const bed = stack.use(
    await KubeTestbed.start({ dir: join(dir, 'control-plane'), kubelet: 'none' }),
  );
  stack.use(keepRunning(bed, say));
  const nodes = nodesOf(pack);
  say(`nodes: ${nodes.map(({ name }) => name).join(', ')}`);
  const kubelet = stack.use(
    await ProcessKubelet.start({
      client: bed.client,
      nodes,
      dir: join(dir, 'kubelet'),
      ...(network !== undefined && { network }),
      environment: baseEnvironment(),
    }),
  );
  await bed.nodesReady();
  const parts = stack.move();
  return { bed, kubelet, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

/** What ends by itself, or is killed, is started again, as a kubelet does with a control plane. */
function keepRunning(bed: KubeTestbed, say: (line: string) => void): AsyncDisposable {
  return startLoop(
    async (signal) => {
      for (;;) {
        await sleep(restartAfterMs, undefined, { signal });
        for (const component of bed.components) {
          if (!component.hasExited) continue;
          say(`! ${component.name} ended and is started again`);
          component.start();
        }
      }
    },
    (error) => say(`! the control plane is watched no more: ${String(error)}`),
  );
}

async function writeFiles(
  of: KubeCountryOptions & {
    readonly pack: CountryPack;
    readonly tools: KubeTools;
    readonly outside: Outside;
    readonly bed: KubeTestbed;
  },
): Promise<UpFile> {
  const { dir, pack, outside, bed, tools, brokers } = of;
  const { kafka, buckets, issuer, users } = outside;
  const cc = lowerCountry(pack.country);
  const buildings = await readFile(join(root, `examples/demo/${cc}.values.yaml`), 'utf8').catch(
    () => 'buildings: {}\n',
  );
  const values = valuesOf({
    pack,
    buildings,
    bootstrap: kafka.bootstrap,
    brokers,
    store: buckets.store,
    endpoint: buckets.url,
    issuer,
  });
  for (const [name, content] of Object.entries(values))
    await writePrivate(join(dir, `${name}.values.yaml`), content);
  const file = upFileOf({ dir, pack, tools, bed, kafka, buckets, issuer, users });
  await writePrivate(join(dir, 'up.json'), `${JSON.stringify(file, undefined, 2)}\n`);
  return file;
}

async function packOf(country: string): Promise<CountryPack> {
  const file = join(root, 'regions', `${country.toLowerCase()}.yaml`);
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    const why = `there is no country pack regions/${country.toLowerCase()}.yaml`;
    throw new PlatformError('VALUE_INVALID', `Cannot start ${country}: ${why}`, { cause });
  });
  return parseCountryPack(parse(text));
}

async function startIdentity(of: {
  readonly dir: string;
  readonly pack: CountryPack;
  readonly issuer: string;
  readonly supervisor: Supervisor;
  readonly ports: Ports;
}): Promise<void> {
  const { dir, pack, issuer, supervisor, ports } = of;
  const state = join(dir, 'identity');
  const adminPort = await ports.of('admin-identity');
  const web = `http://127.0.0.1:${await ports.of('web')}`;
  await supervisor.start({
    name: 'identity',
    entry: 'platform/identity/src/main.ts',
    env: {
      NODE_ENV: 'production',
      IDENTITY_ISSUER: issuer,
      IDENTITY_PORT: new URL(issuer).port,
      IDENTITY_ADMIN_PORT: `${adminPort}`,
      IDENTITY_STATE_DIR: state,
      IDENTITY_USERS_FILE: join(state, 'users.json'),
      IDENTITY_COUNTRIES: pack.country,
      IDENTITY_REDIRECT_URIS: `${web}/callback`,
      IDENTITY_LOGOUT_URIS: `${web}/`,
    },
    logFile: join(dir, 'logs/identity.log'),
    adminPort,
  });
  await supervisor.ready('identity', readyTimeoutMs);
}

/**
 * A Kafka of one or three nodes for tests and the demo: real processes on loopback ports, about 2 s to ready and 135 MB a node.
 * The nodes die with this process (`setpriv --pdeathsig`, Linux).
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import { hearConnectionErrors } from '@domicile/kafka/connection-errors.ts';
import { apiError } from '@domicile/kafka/errors.ts';
import { TransactionalProducer } from '@domicile/kafka/transactional-producer.ts';
import { type KeyPair } from '@domicile/runtime/certificates.ts';
import { Admin, SASLMechanisms } from '@platformatic/kafka';
import { z } from 'zod';
import { defaultCacheDir } from './cache-dir.ts';
import { createCertificates, type Certificates } from './certificates.ts';
import { freePorts } from './free-ports.ts';
import { CLUSTER_ID, formatStorage, installKafka, type KafkaInstall } from './kafka-install.ts';

/** With `scram` or `tls` the authorizer is on: without a grant a principal may do nothing. */
export type Security =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'scram';
      readonly passwords: Readonly<Record<string, string>>;
      readonly encrypted?: boolean;
    }
  | { readonly kind: 'tls'; readonly principals: readonly string[] };

export interface KafkaClusterOptions {
  /** Where jars and the class archive are kept. */
  readonly cacheDir?: string;
  /** Where a cluster that outlives this process keeps its data, ports and admin password; absent: a passing folder. */
  readonly dataDir?: string;
  readonly nodes?: 1 | 3;
  /** A node that ends by itself is started again, and this is told. Absent: it stays away, as tests want it. */
  readonly onRestart?: (node: number, outcome: string) => void;
  readonly security?: Security;
  /** Where the nodes stand, in turn; absent: they have no rack. */
  readonly racks?: readonly string[];
  /** Broker properties that replace or add to the ones below. */
  readonly properties?: Readonly<Record<string, string>>;
}

interface Node {
  readonly id: number;
  readonly dir: string;
  process: ChildProcess | undefined;
}

const portsSchema = z.array(z.number());
const identitySchema = z.object({
  ports: z.tuple([portsSchema, portsSchema, portsSchema]),
  adminPassword: z.string(),
});
type Identity = z.output<typeof identitySchema>;

const SECURITY_PROTOCOL = { none: 'PLAINTEXT', scram: 'SASL_PLAINTEXT', tls: 'SSL' };

export class KafkaCluster {
  readonly #options: KafkaClusterOptions;
  readonly #install: KafkaInstall;
  readonly #nodes: Node[] = [];
  #clientBrokers: string[] = [];
  #adminBrokers: string[] = [];
  #adminPassword = '';
  #certificates: Certificates | undefined;
  #isStopped = false;

  private constructor(options: KafkaClusterOptions, install: KafkaInstall) {
    this.#options = options;
    this.#install = install;
  }

  /** Starts the nodes and resolves when a transaction has been committed on each of them. */
  static async start(options: KafkaClusterOptions): Promise<KafkaCluster> {
    hearConnectionErrors();
    const { cacheDir = defaultCacheDir } = options;
    const install = await installKafka(cacheDir);
    if (existsSync(install.archiveFile)) return KafkaCluster.#startWith(options, install);
    await KafkaCluster.#archiveClasses(cacheDir, install);
    return KafkaCluster.#startWith(options, await installKafka(cacheDir));
  }

  static async #startWith(
    options: KafkaClusterOptions,
    install: KafkaInstall,
  ): Promise<KafkaCluster> {
    const cluster = new KafkaCluster(options, install);
    await cluster.#prepare();
    cluster.#nodes.forEach((node) => cluster.#spawn(node));
    try {
      await cluster.ready();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  /** Once per Kafka version and Java build: the archive makes later starts three times as fast. */
  static async #archiveClasses(cacheDir: string, install: KafkaInstall): Promise<void> {
    const passing = `${install.archiveFile}.${process.pid}`;
    const recording = {
      ...install,
      javaArguments: [`-XX:ArchiveClassesAtExit=${passing}`, ...install.javaArguments],
    };
    const cluster = await KafkaCluster.#startWith({ cacheDir }, recording);
    await cluster.terminate(1);
    await cluster.stop();
    if (existsSync(passing)) await rename(passing, install.archiveFile);
  }

  /** Brokers for clients, `host:port` separated by commas. */
  get bootstrap(): string {
    return this.#clientBrokers.join(',');
  }

  /** The super user. Where security is on it has a password of its own that no service is given. */
  admin(): ClientOptions {
    const bootstrapBrokers = [...this.#adminBrokers];
    if (this.#kind === 'none') return { bootstrapBrokers };
    const sasl = {
      mechanism: SASLMechanisms.PLAIN,
      username: 'admin',
      password: this.#adminPassword,
    };
    return { bootstrapBrokers, sasl };
  }

  /** A client with the rights of `principal`: a SCRAM user, or the common name of a client certificate. */
  client(principal?: string): ClientOptions {
    const bootstrapBrokers = [...this.#clientBrokers];
    const security = this.#options.security ?? { kind: 'none' };
    if (security.kind === 'none') return { bootstrapBrokers };
    if (security.kind === 'tls') {
      const own = principal === undefined ? undefined : this.#certificates?.clients.get(principal);
      return {
        bootstrapBrokers,
        tls: {
          ca: this.#authority().certificate,
          ...(own && { cert: own.certificate, key: own.key }),
        },
      };
    }
    if (principal === undefined) throw new Error('Cannot connect: name a SCRAM user');
    const password = security.passwords[principal] ?? 'unknown user';
    const sasl = { mechanism: SASLMechanisms.SCRAM_SHA_256, username: principal, password };
    return {
      bootstrapBrokers,
      sasl,
      ...(security.encrypted && { tls: { ca: this.#authority().certificate } }),
    };
  }

  /** Resolves when all running nodes are in sync and each has taken a committed transaction. */
  async ready(timeoutMs = 60_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    const running = this.#nodes.filter((node) => node.process !== undefined).length;
    for (;;) {
      try {
        return await this.#probe(running);
      } catch (error) {
        const dead = this.#nodes.find(
          (node) => node.process !== undefined && node.process.exitCode !== null,
        );
        if (dead !== undefined || Date.now() > deadline) {
          throw new Error(`Kafka is not ready: ${this.#logTail(dead ?? this.#node(1))}`, {
            cause: error,
          });
        }
        await sleep(100);
      }
    }
  }

  pid(id: number): number {
    const pid = this.#node(id).process?.pid;
    if (pid === undefined) throw new Error(`Node ${id} is not running`);
    return pid;
  }

  /** SIGKILL: nothing is flushed, and the others learn of it when the broker session ends (3 s). */
  kill(id: number): Promise<void> {
    return this.#end(this.#node(id), 'SIGKILL');
  }

  /** SIGTERM: leadership moves first. */
  terminate(id: number): Promise<void> {
    return this.#end(this.#node(id), 'SIGTERM');
  }

  /** Starts a node that was ended; follow with `ready()`. */
  restart(id: number): void {
    this.#spawn(this.#node(id));
  }

  /** Ends all nodes, and removes the data of a passing cluster. One that is kept is ended in good order. */
  async stop(): Promise<void> {
    const isKept = this.#options.dataDir !== undefined;
    this.#isStopped = true;
    await Promise.all(this.#nodes.map((node) => this.#end(node, isKept ? 'SIGTERM' : 'SIGKILL')));
    if (isKept) return;
    await Promise.all(this.#nodes.map((node) => rm(node.dir, { recursive: true, force: true })));
  }

  get #kind(): Security['kind'] {
    return this.#options.security?.kind ?? 'none';
  }

  async #prepare(): Promise<void> {
    const { nodes = 1, security = { kind: 'none' } } = this.#options;
    const secured = security.kind !== 'none';
    const { ports, adminPassword } = await this.#identity(nodes);
    const [controllers, clients, admins] = ports;
    this.#adminPassword = adminPassword;
    const voters = controllers.map((port, index) => `${index + 1}@127.0.0.1:${port}`).join(',');
    this.#clientBrokers = clients.map((port) => `127.0.0.1:${port}`);
    this.#adminBrokers = secured ? admins.map((port) => `127.0.0.1:${port}`) : this.#clientBrokers;
    if (security.kind === 'tls') this.#certificates = await createCertificates(security.principals);
    if (security.kind === 'scram' && security.encrypted)
      this.#certificates = await createCertificates([]);

    for (let id = 1; id <= nodes; id += 1) {
      const dir = await this.#nodeDir(id);
      const listeners = [
        `CLIENT://127.0.0.1:${clients[id - 1]}`,
        ...(secured ? [`ADMIN://127.0.0.1:${admins[id - 1]}`] : []),
      ];
      const properties = {
        ...baseProperties(nodes),
        'node.id': String(id),
        'controller.quorum.voters': voters,
        listeners: [...listeners, `CONTROLLER://127.0.0.1:${controllers[id - 1]}`].join(','),
        'advertised.listeners': listeners.join(','),
        'inter.broker.listener.name': secured ? 'ADMIN' : 'CLIENT',
        'log.dirs': join(dir, 'data'),
        ...rackProperty(this.#options.racks, id),
        ...securityProperties(security, dir, adminPassword),
        ...this.#options.properties,
      };
      const lines = Object.entries(properties).map(([name, value]) => `${name}=${value}`);
      await writeFile(join(dir, 'server.properties'), lines.join('\n'), { mode: 0o600 });
      if (this.#certificates !== undefined) await writeCertificates(dir, this.#certificates);
      this.#nodes.push({ id, dir, process: undefined });
    }
    await this.#format(security);
  }

  /** Of a cluster that is kept they are the same at every start. */
  async #identity(nodes: 1 | 3): Promise<Identity> {
    const { dataDir } = this.#options;
    const file = dataDir === undefined ? undefined : join(dataDir, 'identity.json');
    if (file !== undefined && existsSync(file))
      return identitySchema.parse(JSON.parse(await readFile(file, 'utf8')));
    const adminPassword = randomBytes(18).toString('base64url');
    const identity: Identity = { ports: await portsOf(nodes), adminPassword };
    if (file !== undefined && dataDir !== undefined) {
      await mkdir(dataDir, { recursive: true });
      await writeFile(file, JSON.stringify(identity), { mode: 0o600 });
    }
    return identity;
  }

  async #nodeDir(id: number): Promise<string> {
    const { dataDir } = this.#options;
    if (dataDir === undefined) return mkdtemp(join(tmpdir(), `kafka-${id}-`));
    const dir = join(dataDir, `node-${id}`);
    await mkdir(dir, { recursive: true });
    return dir;
  }

  /** `StorageTool` takes a JVM start of 1 s, so it runs only where users have to be put into the checkpoint. */
  async #format(security: Security): Promise<void> {
    let checkpoint = this.#install.checkpointFile;
    for (const node of this.#nodes) {
      const data = join(node.dir, 'data');
      if (existsSync(join(data, 'meta.properties'))) continue; // kept from an earlier start
      if (security.kind === 'scram' && node.id === 1) {
        const users = Object.entries(security.passwords).flatMap(([name, password]) => [
          '--add-scram',
          `SCRAM-SHA-256=[name=${name},password=${password}]`,
        ]);
        await formatStorage(this.#install, join(node.dir, 'server.properties'), users);
        checkpoint = join(data, 'bootstrap.checkpoint');
        continue;
      }
      await mkdir(data);
      const directory = randomBytes(16);
      directory[0] = (directory[0] ?? 0) | 0x80; // never one of the reserved ids
      const meta = [
        'version=1',
        `node.id=${node.id}`,
        `cluster.id=${CLUSTER_ID}`,
        `directory.id=${directory.toString('base64url')}`,
      ];
      await writeFile(join(data, 'meta.properties'), `${meta.join('\n')}\n`);
      await copyFile(checkpoint, join(data, 'bootstrap.checkpoint'));
    }
  }

  #spawn(node: Node): void {
    if (node.process !== undefined) throw new Error(`Node ${node.id} is running`);
    const log = openSync(join(node.dir, 'kafka.log'), 'a');
    const args = [
      ...this.#install.javaArguments,
      'kafka.Kafka',
      join(node.dir, 'server.properties'),
    ];
    // Of a process group of its own: what a terminal sends to the group is not meant for it.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'java', ...args], {
      cwd: node.dir,
      stdio: ['ignore', log, log],
      detached: true,
    });
    node.process = child;
    const { onRestart } = this.#options;
    if (onRestart !== undefined)
      child.once('exit', (code, signal) => {
        if (node.process !== child) return; // ended by us
        node.process = undefined;
        onRestart(node.id, signal ?? `code ${code}`);
        setTimeout(() => this.#isStopped || node.process || this.#spawn(node), restartDelayMs);
      });
    closeSync(log);
  }

  async #end(node: Node, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = node.process;
    node.process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }

  async #probe(running: number): Promise<void> {
    const client = { ...this.admin(), retries: 0, connectTimeout: 1_000, requestTimeout: 5_000 };
    const admin = new Admin({ clientId: 'readiness', ...client });
    const topic = 'readiness';
    const count = this.#nodes.length;
    try {
      const { brokers } = await admin.metadata({ topics: [] });
      if (brokers.size !== running)
        throw new Error(`${brokers.size} of ${running} nodes are registered`);
      await admin
        .createTopics({ topics: [topic], partitions: count, replicas: count })
        .catch((error: unknown) => {
          if (!apiError(error, 'TOPIC_ALREADY_EXISTS')) throw error;
        });
      const { partitions } =
        (await admin.metadata({ topics: [topic], forceUpdate: true })).topics.get(topic) ?? {};
      if (!partitions?.every((partition) => partition.isr.length === running))
        throw new Error('A replica is not in sync');
      const producer = await TransactionalProducer.open({
        client: { clientId: 'readiness', ...client, retries: 5 },
        transactionalId: 'readiness',
      });
      try {
        await producer.send(
          partitions.map((_, partition) => ({ topic, partition, value: Buffer.from('ready') })),
        );
        await producer.commit();
      } finally {
        await producer.discard();
      }
    } finally {
      await admin.close();
    }
  }

  #authority(): KeyPair {
    if (this.#certificates === undefined) throw new Error('This cluster has no certificates');
    return this.#certificates.authority;
  }

  #node(id: number): Node {
    const node = this.#nodes[id - 1];
    if (node === undefined) throw new Error(`No node ${id}`);
    return node;
  }

  #logTail(node: Node): string {
    const lines = readFileSync(join(node.dir, 'kafka.log'), 'utf8').split('\n');
    const wrong = lines.filter((line) => /ERROR|WARN|Exception|Invalid/.test(line));
    return (wrong.length > 0 ? wrong : lines).slice(-12).join('\n');
  }
}

const restartDelayMs = 500;

/** Ten years: a task that was away must find where it stood, and never begins anew. */
const offsetsRetentionMinutes = 5_256_000;

/** Small buffers for -Xmx128m, quick failure detection, transactions that do not linger after their timeout. */
function baseProperties(nodes: 1 | 3): Record<string, string> {
  const replicas = String(nodes);
  const inSync = nodes === 3 ? '2' : '1';
  return {
    'process.roles': 'broker,controller',
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'CLIENT:PLAINTEXT,ADMIN:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'auto.create.topics.enable': 'false',
    'default.replication.factor': replicas,
    'min.insync.replicas': inSync,
    'offsets.topic.num.partitions': '1',
    'offsets.retention.minutes': String(offsetsRetentionMinutes),
    'offsets.topic.replication.factor': replicas,
    'transaction.state.log.num.partitions': '1',
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': inSync,
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': inSync,
    'log.cleaner.dedupe.buffer.size': '2097152',
    'log.cleaner.io.buffer.size': '131072',
    'log.index.size.max.bytes': '524288',
    'num.network.threads': '1',
    'num.io.threads': '2',
    'background.threads': '2',
    'remote.log.manager.thread.pool.size': '1',
    'broker.session.timeout.ms': '3000',
    'broker.heartbeat.interval.ms': '500',
    'controller.quorum.election.timeout.ms': '500',
    'controller.quorum.fetch.timeout.ms': '1000',
    'group.initial.rebalance.delay.ms': '0',
    'group.min.session.timeout.ms': '1000',
    'transaction.abort.timed.out.transaction.cleanup.interval.ms': '500',
  };
}

function rackProperty(racks: readonly string[] = [], id: number): Record<string, string> {
  const rack = racks[(id - 1) % Math.max(1, racks.length)];
  return rack === undefined ? {} : { 'broker.rack': rack };
}

function securityProperties(
  security: Security,
  dir: string,
  adminPassword: string,
): Record<string, string> {
  if (security.kind === 'none') return {};
  const encrypted = security.kind === 'tls' || security.encrypted === true;
  const protocol =
    security.kind === 'scram' && encrypted ? 'SASL_SSL' : SECURITY_PROTOCOL[security.kind];
  return {
    'listener.security.protocol.map': `CLIENT:${protocol},ADMIN:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT`,
    'sasl.mechanism.inter.broker.protocol': 'PLAIN',
    'sasl.mechanism.controller.protocol': 'PLAIN',
    ...plainListener('admin', adminPassword),
    ...plainListener('controller', adminPassword),
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users': 'User:admin',
    ...(security.kind === 'scram' && {
      'listener.name.client.sasl.enabled.mechanisms': 'SCRAM-SHA-256',
      'listener.name.client.scram-sha-256.sasl.jaas.config':
        'org.apache.kafka.common.security.scram.ScramLoginModule required;',
    }),
    ...(encrypted && {
      'listener.name.client.ssl.keystore.type': 'PEM',
      'listener.name.client.ssl.keystore.location': join(dir, 'broker.pem'),
      'listener.name.client.ssl.truststore.type': 'PEM',
      'listener.name.client.ssl.truststore.location': join(dir, 'authority.pem'),
      'listener.name.client.ssl.client.auth': security.kind === 'tls' ? 'required' : 'none',
    }),
  };
}

/** One user, who is the server itself and its administrator. */
function plainListener(name: string, password: string): Record<string, string> {
  const login = `username="admin" password="${password}" user_admin="${password}"`;
  return {
    [`listener.name.${name}.sasl.enabled.mechanisms`]: 'PLAIN',
    [`listener.name.${name}.plain.sasl.jaas.config`]: `org.apache.kafka.common.security.plain.PlainLoginModule required ${login};`,
  };
}

async function writeCertificates(dir: string, { authority, broker }: Certificates): Promise<void> {
  await writeFile(join(dir, 'broker.pem'), `${broker.key}${broker.certificate}`, { mode: 0o600 });
  await writeFile(join(dir, 'authority.pem'), authority.certificate);
}

async function portsOf(nodes: number): Promise<[number[], number[], number[]]> {
  const ports = await freePorts(3 * nodes);
  return [ports.slice(0, nodes), ports.slice(nodes, 2 * nodes), ports.slice(2 * nodes)];
}

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GcsEmulator } from '@domicile/devkit/gcs/gcs-emulator.ts';
import { KafkaCluster } from '@domicile/devkit/kafka-cluster.ts';
import { KubeTestbed } from '@domicile/devkit/kube/kube-testbed.ts';
import { stringify } from 'yaml';
import { z } from 'zod';
import { charts } from './render-chart.ts';

export const system = 'domicile-system';
export const homes = 'domicile-buildings';
export const regions = ['europe-west3', 'europe-west10'];
const account = 'domicile-operator';
const admin = { username: 'cell-admin', password: 'cell-admin-secret' };
const stopMsMax = 20_000;
const identities = ['admin', 'writer', 'serving-reader', 'raw-reader', 'eraser'];

const auditEvent = z.object({
  verb: z.string(),
  requestURI: z.string(),
  objectRef: z
    .object({
      apiGroup: z.string().default(''),
      resource: z.string(),
      subresource: z.string().optional(),
      namespace: z.string().optional(),
      name: z.string().optional(),
    })
    .optional(),
  responseStatus: z.object({ code: z.number() }).optional(),
});

export type Asked = z.output<typeof auditEvent>;

/**
 * The operator as a process of its own, with the rights of its chart's ServiceAccount, on a real API server that writes down all
 * that it asks; a real Kafka and a bucket emulator; pods are played.
 */
export class OperatorUnderAudit implements AsyncDisposable {
  readonly bed: KubeTestbed;
  readonly kafka: KafkaCluster;
  readonly gcs: GcsEmulator;
  readonly #dir: string;
  readonly #stack: AsyncDisposableStack;
  #process: ChildProcess | undefined;

  static async start(): Promise<OperatorUnderAudit> {
    await using stack = new AsyncDisposableStack();
    const dir = await mkdtemp(join(tmpdir(), 'audit-'));
    stack.defer(() => rm(dir, { recursive: true, force: true }));
    await writeFile(join(dir, 'policy.yaml'), stringify(policy));
    const kafka = await KafkaCluster.start({
      nodes: 1,
      racks: regions,
      security: { kind: 'scram', passwords: { [admin.username]: admin.password } },
      properties: { 'super.users': `User:admin;User:${admin.username}` },
    });
    stack.defer(() => kafka.stop());
    const named = identities.map((identity) => `lake-${identity}`);
    const gcs = stack.use(await GcsEmulator.start({ identities: named, admins: ['lake-admin'] }));
    const bed = stack.use(
      await KubeTestbed.start({
        nodes: regions.map((region) => ({ name: region, region, zone: `${region}-a` })),
        flags: {
          'kube-apiserver': [
            `--audit-policy-file=${join(dir, 'policy.yaml')}`,
            `--audit-log-path=${join(dir, 'audit.log')}`,
          ],
        },
        outcomeOf: ({ metadata }) =>
          /^erase|-test$/.test(metadata.name) ? 'succeeded' : 'running',
      }),
    );
    const secrets = Object.entries({
      'kafka-admin': admin,
      ...Object.fromEntries(named.map((name) => [name, { 'credentials.json': gcs.keyOf(name) }])),
    });
    await bed.client.applyAll([
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: system } },
      ...secrets.map(([name, stringData]) => ({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name, namespace: system },
        stringData,
      })),
    ]);
    return new OperatorUnderAudit({ bed, kafka, gcs, dir, stack: stack.move() });
  }

  private constructor(of: {
    readonly bed: KubeTestbed;
    readonly kafka: KafkaCluster;
    readonly gcs: GcsEmulator;
    readonly dir: string;
    readonly stack: AsyncDisposableStack;
  }) {
    this.bed = of.bed;
    this.kafka = of.kafka;
    this.gcs = of.gcs;
    this.#dir = of.dir;
    this.#stack = of.stack;
  }

  /** Throws with what Helm said. */
  async upgrade(chart: string, namespace: string, values: object): Promise<void> {
    const file = join(this.#dir, `${chart}.values.yaml`);
    await writeFile(file, stringify(values, { version: '1.1' }));
    const release = [chart, join(charts, chart), '--namespace', namespace, '--values', file];
    const { status, stderr } = await this.bed.helm(['upgrade', '--install', ...release]);
    if (status !== 0) throw new Error(`helm upgrade ${chart}: ${stderr}`);
  }

  /** After its chart is installed. */
  async startOperator(env: Readonly<Record<string, string>>): Promise<void> {
    const { client } = await this.bed.serviceAccount(system, account);
    const { identity, authority } = client.access;
    const write = (name: string, content: string) => writeFile(join(this.#dir, name), content);
    await write('token', identity.kind === 'token' ? identity.token : '');
    await write('ca.crt', authority);
    await write('namespace', system);
    client.close();
    const { hostname, port } = new URL(this.bed.server);
    await using log = await open(join(this.#dir, 'operator.log'), 'a');
    this.#process = spawn(process.execPath, ['--enable-source-maps', 'operators/src/main.ts'], {
      cwd: join(charts, '..'),
      stdio: ['ignore', log.fd, log.fd],
      env: {
        CELL_COUNTRY: 'DE',
        OPERATOR_NAMESPACE: system,
        OPERATOR_BUILDING_NAMESPACES: homes,
        OPERATOR_LEASE_NAME: account,
        SERVICE_ACCOUNT_DIR: this.#dir,
        KUBERNETES_SERVICE_HOST: hostname,
        KUBERNETES_SERVICE_PORT: port,
        ...env,
      },
    });
  }

  async stopOperator(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (running === undefined || running.exitCode !== null) return;
    const ended = once(running, 'exit');
    running.kill('SIGTERM');
    const late = setTimeout(() => running.kill('SIGKILL'), stopMsMax);
    await ended;
    clearTimeout(late);
  }

  /** What the operator logged. */
  log(): Promise<string> {
    return readFile(join(this.#dir, 'operator.log'), 'utf8');
  }

  /** What the operator asked of the API server, and what it was answered. */
  async asked(): Promise<Asked[]> {
    const file = join(this.#dir, 'audit.log');
    const text = existsSync(file) ? await readFile(file, 'utf8') : '';
    return text
      .split('\n')
      .filter((line) => line.endsWith('}'))
      .map((line) => auditEvent.parse(JSON.parse(line)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopOperator();
    await this.#stack.disposeAsync();
  }
}

const policy = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [
    { level: 'Metadata', users: [`system:serviceaccount:${system}:${account}`] },
    { level: 'None' },
  ],
};

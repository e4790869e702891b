import { spawn, type ChildProcess } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { must } from '@domicile/core/invariants.ts';
import { type KeyPair, createAuthority } from '@domicile/runtime/certificates.ts';
import { issueCertificate, loopbackNames } from '../certificates.ts';
import { freePorts } from '../free-ports.ts';
import type { KubeAccess } from './kube-client.ts';

export type ComponentName =
  | 'etcd'
  | 'kube-apiserver'
  | 'kube-controller-manager'
  | 'kube-scheduler';

/** One server process, which dies with this one. It can be killed, and started again with the same flags. */
export class Component {
  readonly name: ComponentName;
  readonly logFile: string;
  readonly #command: readonly string[];
  #child: ChildProcess | undefined;

  constructor(name: ComponentName, command: readonly string[], logFile: string) {
    this.name = name;
    this.#command = command;
    this.logFile = logFile;
  }

  get running(): boolean {
    const child = this.#child;
    return child?.pid !== undefined && child.exitCode === null && child.signalCode === null;
  }

  get pid(): number {
    return must(this.running ? this.#child?.pid : undefined, `${this.name} runs`);
  }

  /** Started, and not running any more. */
  get hasExited(): boolean {
    return this.#child !== undefined && !this.running;
  }

  /** Resident memory, the shared binary included. */
  get residentMiB(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024);
  }

  start(): void {
    if (this.running) return;
    const log = openSync(this.logFile, 'a');
    // Of a group of its own: what a terminal sends to the group is not meant for it.
    const command = ['--pdeathsig', 'KILL', ...this.#command];
    const child = spawn('setpriv', command, { stdio: ['ignore', log, log], detached: true });
    child.once('error', () => undefined); // it then has no pid: seen as exited
    this.#child = child;
    closeSync(log);
  }

  signal(name: NodeJS.Signals): void {
    if (this.running) this.#child?.kill(name);
  }

  /** Ends it at once: an API server that ends in good order waits for open watches. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || !this.running) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  async logTail(lines = 15): Promise<string> {
    const log = await readFile(this.logFile, 'utf8').catch(() => '');
    return log.trimEnd().split('\n').slice(-lines).join('\n');
  }
}

export interface ControlPlane {
  readonly server: string;
  readonly authority: KeyPair;
  readonly admin: KubeAccess;
  readonly components: ReadonlyMap<ComponentName, Component>;
}

export interface ControlPlaneOptions {
  /** Flags that are added last, and so win. */
  readonly flags?: Readonly<Partial<Record<ComponentName, readonly string[]>>>;
  /** Default true; without it nothing but the API is served. */
  readonly controllers?: boolean;
}

/** Writes keys, certificates and settings into `dir`; starts nothing. */
export async function prepareControlPlane(
  binary: string,
  dir: string,
  { flags = {}, controllers = true }: ControlPlaneOptions = {},
): Promise<ControlPlane> {
  await mkdir(dir, { recursive: true });
  const [client = 0, peer = 0, api = 0] = await freePorts(3);
  const server = `https://127.0.0.1:${api}`;
  const authority = await createAuthority('kube-testbed');
  const files = await writeKeys(dir, { server, authority });
  const urls = { client: `http://127.0.0.1:${client}`, peer: `http://127.0.0.1:${peer}` };
  const commands: [ComponentName, readonly string[]][] = [
    ['etcd', etcdFlags(dir, urls)],
    ['kube-apiserver', apiServerFlags(files, { dir, etcd: urls.client, port: api })],
  ];
  if (controllers) {
    commands.push(['kube-controller-manager', controllerManagerFlags(dir, files)]);
    commands.push(['kube-scheduler', [...controllerFlags, `--kubeconfig=${files.scheduler}`]]);
  }
  const components = commands.map(([name, own]): [ComponentName, Component] => {
    const command = [binary, name, ...own, ...(flags[name] ?? [])];
    return [name, new Component(name, command, join(dir, `${name}.log`))];
  });
  const { certificate, key } = files.admin;
  const identity = { kind: 'certificate', certificate, key } as const;
  const admin = { server, authority: authority.certificate, identity };
  return { server, authority, admin, components: new Map(components) };
}

/** JSON is YAML. */
export function kubeconfigOf({ server, authority, identity }: KubeAccess): string {
  const credentials =
    identity.kind === 'token'
      ? { token: identity.token }
      : {
          'client-certificate-data': base64(identity.certificate),
          'client-key-data': base64(identity.key),
        };
  const cluster = { server, 'certificate-authority-data': base64(authority) };
  const context = { cluster: 'testbed', user: 'user', namespace: 'default' };
  const content = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'testbed',
    clusters: [{ name: 'testbed', cluster }],
    users: [{ name: 'user', user: credentials }],
    contexts: [{ name: 'testbed', context }],
  };
  return JSON.stringify(content, undefined, 2);
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

interface KeyFiles {
  readonly admin: KeyPair;
  readonly authority: string;
  readonly authorityKey: string;
  readonly accountsKey: string;
  readonly accountsPublicKey: string;
  readonly serverCertificate: string;
  readonly serverKey: string;
  readonly manager: string;
  readonly scheduler: string;
}

async function writeKeys(
  dir: string,
  { server, authority }: { readonly server: string; readonly authority: KeyPair },
): Promise<KeyFiles> {
  const write = async (name: string, content: string): Promise<string> => {
    await writeFile(join(dir, name), content, { mode: 0o600 });
    return join(dir, name);
  };
  const kubeconfig = async (user: string): Promise<string> => {
    const { certificate, key } = await issueCertificate(authority, { name: user });
    const identity = { kind: 'certificate', certificate, key } as const;
    const access = { server, authority: authority.certificate, identity };
    return write(`${user.replace('system:', '')}.kubeconfig`, kubeconfigOf(access));
  };
  const admin = { name: 'admin', organizations: ['system:masters'] };
  const serving = await issueCertificate(authority, {
    name: 'kube-apiserver',
    names: [
      ...loopbackNames,
      { type: 'dns', value: 'kubernetes.default.svc' },
      { type: 'dns', value: 'kubernetes.default' },
    ],
  });
  const accounts = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return {
    admin: await issueCertificate(authority, admin),
    authority: await write('ca.crt', authority.certificate),
    authorityKey: await write('ca.key', authority.key),
    accountsKey: await write('accounts.key', accounts.privateKey),
    accountsPublicKey: await write('accounts.pub', accounts.publicKey),
    serverCertificate: await write('apiserver.crt', serving.certificate),
    serverKey: await write('apiserver.key', serving.key),
    manager: await kubeconfig('system:kube-controller-manager'),
    scheduler: await kubeconfig('system:kube-scheduler'),
  };
}

function etcdFlags(
  dir: string,
  urls: { readonly client: string; readonly peer: string },
): readonly string[] {
  return [
    '--unsafe-no-fsync',
    '--name=testbed',
    `--data-dir=${join(dir, 'etcd')}`,
    `--listen-client-urls=${urls.client}`,
    `--advertise-client-urls=${urls.client}`,
    `--listen-peer-urls=${urls.peer}`,
    `--initial-advertise-peer-urls=${urls.peer}`,
    `--initial-cluster=testbed=${urls.peer}`,
    '--log-level=error',
  ];
}

function apiServerFlags(
  files: KeyFiles,
  of: { readonly dir: string; readonly etcd: string; readonly port: number },
): readonly string[] {
  return [
    `--etcd-servers=${of.etcd}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    `--secure-port=${of.port}`,
    // A loopback address is refused as an endpoint of `kubernetes`.
    '--endpoint-reconciler-type=none',
    `--cert-dir=${join(of.dir, 'apiserver')}`,
    `--tls-cert-file=${files.serverCertificate}`,
    `--tls-private-key-file=${files.serverKey}`,
    `--client-ca-file=${files.authority}`,
    '--authorization-mode=Node,RBAC',
    // Names of nodes do not resolve.
    '--kubelet-preferred-address-types=InternalIP',
    '--service-cluster-ip-range=10.96.0.0/16',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${files.accountsPublicKey}`,
    `--service-account-signing-key-file=${files.accountsKey}`,
    '--profiling=false',
  ];
}

/** The default of 20 requests a second costs seconds at the start. */
const controllerFlags = [
  '--secure-port=0',
  '--leader-elect=false',
  '--profiling=false',
  '--kube-api-qps=500',
  '--kube-api-burst=1000',
];

function controllerManagerFlags(dir: string, files: KeyFiles): readonly string[] {
  return [
    ...controllerFlags,
    `--kubeconfig=${files.manager}`,
    '--use-service-account-credentials=true',
    // The default is made under /usr/libexec when run by root.
    `--flex-volume-plugin-dir=${join(dir, 'flexvolume')}`,
    `--service-account-private-key-file=${files.accountsKey}`,
    `--root-ca-file=${files.authority}`,
    `--cluster-signing-cert-file=${files.authority}`,
    `--cluster-signing-key-file=${files.authorityKey}`,
  ];
}

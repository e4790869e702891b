import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { globSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { KubeCountry } from '@domicile/cell/kube-country.ts';
import type { HelmVersion } from '@domicile/devkit/kube/kube-tools.ts';
import { addressOf } from '@domicile/devkit/kube/load-balancers.ts';
import { connectAsync, type MqttClient } from 'mqtt';
import { stringify } from 'yaml';
import { z } from 'zod';
import { until } from './api.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const charts = join(root, 'charts');
const group = 'domicile.dev/v1alpha1';
/** It is counted every 5 s, asked for every 30 s and written once a minute. */
const devicesToldWithinMs = 120_000;
const secretSchema = z.looseObject({ data: z.record(z.string(), z.string()) });
const conditionsSchema = z.looseObject({
  status: z
    .looseObject({
      conditions: z
        .array(
          z.looseObject({
            type: z.string(),
            status: z.string(),
            reason: z.string(),
            message: z.string(),
          }),
        )
        .default([]),
    })
    .prefault({}),
});
const settledSchema = z.looseObject({
  metadata: z.looseObject({ generation: z.number() }),
  status: z.looseObject({
    conditions: z.array(
      z.looseObject({ type: z.string(), status: z.string(), observedGeneration: z.number() }),
    ),
  }),
});
const podSchema = z.looseObject({
  status: z.looseObject({
    podIP: z.string().default(''),
    containerStatuses: z.array(z.looseObject({ restartCount: z.number() })).default([]),
  }),
});

/** Paths of PEM files, and the name that the broker's certificate is for. */
export interface GatewayFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly servername: string;
}

/** A country in a cluster of its own, brought up as an SRE does it: by Helm alone. */
export class OnboardedCountry implements AsyncDisposable {
  readonly country: KubeCountry;
  /** Passing, for what tests of it write. */
  readonly dir: string;
  readonly #version: HelmVersion;
  readonly #gateways = new Map<string, Promise<GatewayFiles>>();

  /** Resolves when the operator is installed and the Cell declared with `buildings`: values; default: those of the demo. */
  static async start(
    country: string,
    { helm = 4, buildings }: { readonly helm?: HelmVersion; readonly buildings?: object } = {},
  ): Promise<OnboardedCountry> {
    const dir = await mkdtemp(join(tmpdir(), `onboarded-${country}-`));
    // The addresses that gateways know outlive the cluster.
    const network = randomInt(16, 240);
    const options = { country, dir: join(dir, 'kube'), brokers: 1 as const, network };
    const say = (text: string): void => void process.stderr.write(`… ${country}: ${text}\n`);
    const up = new OnboardedCountry(await KubeCountry.start({ ...options, say }), dir, helm);
    try {
      const { values } = up.country.file;
      if (buildings) await writeFile(values.buildings, stringify(buildings, { version: '1.1' }));
      await up.install();
    } catch (error) {
      await up[Symbol.asyncDispose]();
      throw error;
    }
    return up;
  }

  private constructor(country: KubeCountry, dir: string, version: HelmVersion) {
    this.country = country;
    this.dir = dir;
    this.#version = version;
  }

  /** The three charts, with the values that lie there. */
  async install(): Promise<void> {
    const { values } = this.country.file;
    await this.helm('operator', 'domicile-system', values.operator, '--wait');
    await this.helm('cell', 'domicile-system', values.cell);
    await this.helm('buildings', 'domicile-buildings', values.buildings);
  }

  async helm(
    chart: 'operator' | 'cell' | 'buildings',
    namespace: string,
    values: string,
    ...more: string[]
  ): Promise<void> {
    const name = `domicile-${chart}`;
    const place = ['upgrade', '--install', name, join(charts, name), '--namespace', namespace];
    const all = [...place, '--values', values, ...more];
    const { status, stderr } = await this.country.bed.helm(all, this.#version);
    if (status !== 0) throw new Error(`helm ${name}: ${stderr}`);
  }

  /** Resolves when it is Ready; throws with its conditions when it is not in time. */
  async ready(kind: 'Cell' | 'Building', name: string, timeoutMs: number): Promise<void> {
    const place = kind === 'Cell' ? { name } : { name, namespace: 'domicile-buildings' };
    await until(
      `${kind} ${name}`,
      async () => {
        const found = await this.country.bed.client.find(group, kind, place);
        return found === undefined ? [] : conditionsSchema.parse(found).status.conditions;
      },
      {
        fits: (all) => all.some(({ type, status }) => type === 'Ready' && status === 'True'),
        timeoutMs,
      },
    ).catch(async (error: unknown) => {
      throw new Error(await this.#operatorLog(), { cause: error });
    });
  }

  /** Resolves when one of its buildings tells these devices seen of those expected. */
  async tells(devices: string): Promise<void> {
    const parameters = ['get', 'buildings', '--namespace', 'domicile-buildings'];
    await until(`${devices} devices`, () => this.kubectl(...parameters), {
      fits: (table) => table.includes(` ${devices} `),
      timeoutMs: devicesToldWithinMs,
    });
  }

  /** Resolves when the Cell is Ready as it is declared now, and all of its processes are replaced. */
  async settled(timeoutMs: number): Promise<void> {
    await until(
      'the cell to settle',
      async () => {
        const { items } = await this.country.bed.client.list(group, 'Cell');
        return items.map((cell) => settledSchema.parse(cell));
      },
      {
        fits: (cells) =>
          cells.every(({ metadata, status }) =>
            status.conditions.some(
              ({ type, status: value, observedGeneration }) =>
                type === 'Ready' && value === 'True' && observedGeneration === metadata.generation,
            ),
          ),
        timeoutMs,
      },
    ).catch(async (error: unknown) => {
      throw new Error(await this.#operatorLog(), { cause: error });
    });
  }

  /** The Secrets that are to be kept elsewhere, as the runbook of recovery takes them; applied by `restore`. */
  async backUp(): Promise<string> {
    const cc = this.country.file.country.toLowerCase();
    const lake = ['admin', 'writer', 'serving-reader', 'raw-reader', 'eraser'];
    const names = [`cell-authority-${cc}`, 'kafka-admin', ...lake.map((who) => `lake-${who}`)];
    const place = ['--namespace', 'domicile-system', 'get', 'secret', ...names];
    const yaml = await this.kubectl(...place, '--output', 'yaml');
    const file = join(this.dir, 'secrets.yaml');
    await writeFile(
      file,
      yaml.replaceAll(/^ *(?:uid|resourceVersion|creationTimestamp):.*\n/gm, ''),
    );
    return file;
  }

  async restore(file: string): Promise<void> {
    await this.kubectl('create', 'namespace', 'domicile-system');
    await this.kubectl('apply', '--filename', file);
  }

  /** To the revision before. */
  async rollback(chart: 'operator' | 'cell' | 'buildings'): Promise<void> {
    const namespace = chart === 'buildings' ? 'domicile-buildings' : 'domicile-system';
    const parameters = ['rollback', `domicile-${chart}`, '--namespace', namespace];
    const { status, stderr } = await this.country.bed.helm(parameters, this.#version);
    if (status !== 0) throw new Error(`helm rollback domicile-${chart}: ${stderr}`);
  }

  /** Of the cell: by name, how often its containers were started again. */
  async pods(): Promise<ReadonlyMap<string, { restarts: number; address: string }>> {
    const { items } = await this.country.bed.client.list('v1', 'Pod', { namespace: 'domicile' });
    return new Map(
      items.map((pod) => {
        const { podIP, containerStatuses } = podSchema.parse(pod).status;
        const restarts = containerStatuses.reduce((sum, one) => sum + one.restartCount, 0);
        return [pod.metadata.name, { restarts, address: podIP }];
      }),
    );
  }

  /** Its pod is deleted, as one may at any time; resolves when the one after it is ready. */
  async renew(component: string): Promise<void> {
    const labels = `app.kubernetes.io/component=${component}`;
    await this.kubectl('-n', 'domicile', 'delete', 'pod', '-l', labels);
    await this.kubectl('-n', 'domicile', 'rollout', 'status', `deploy/${component}`);
  }

  /** What it printed; throws with what it said if it failed. */
  async kubectl(...parameters: string[]): Promise<string> {
    const { status, stdout, stderr } = await this.country.bed.kubectl(parameters);
    if (status !== 0) throw new Error(`kubectl ${parameters.join(' ')}: ${stderr}`);
    return stdout;
  }

  get buckets(): { readonly landing: string; readonly serving: string } {
    const cc = this.country.file.country.toLowerCase();
    return { landing: `domicile-${cc}-landing`, serving: `domicile-${cc}-serving` };
  }

  async api(): Promise<string> {
    return `http://${await this.#balanced('api-gateway')}:8080`;
  }

  /** Of the gateway of a building, which enrols once, with what its Secret says: a token is good for one key. */
  gatewayOf(building: string): Promise<GatewayFiles> {
    const enrolled = this.#gateways.get(building) ?? this.#enrolGateway(building);
    this.#gateways.set(building, enrolled);
    return enrolled;
  }

  async #enrolGateway(building: string): Promise<GatewayFiles> {
    const name = `${building}-gateway`;
    const place = { name, namespace: 'domicile-buildings' };
    const { client } = this.country.bed;
    const { data } = secretSchema.parse(await client.get('v1', 'Secret', place));
    const secret = (key: string) => Buffer.from(data[key] ?? '', 'base64').toString();
    await this.#enrol(building, secret('enrolment-token'));
    const cc = this.country.file.country.toLowerCase();
    const [ca, cert, key] = [`${building}.ca`, `${building}.pem`, `${building}.key`];
    await writeFile(join(this.dir, ca), secret('ca.crt'));
    const files = { ca: join(this.dir, ca), cert: join(this.dir, cert), key: join(this.dir, key) };
    return { ...files, servername: `mqtt.${cc}.domicile.example` };
  }

  async mqtts(): Promise<string> {
    return `mqtts://${await this.#balanced('broker')}:8883`;
  }

  /** By mutual TLS, with the certificate that it was given. */
  async connect(building: string): Promise<MqttClient> {
    const files = await this.gatewayOf(building);
    return connectAsync(await this.mqtts(), {
      clientId: `${building}-gw`,
      servername: files.servername,
      ca: await readFile(files.ca),
      cert: await readFile(files.cert),
      key: await readFile(files.key),
      reconnectPeriod: 0,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.country[Symbol.asyncDispose]();
    await rm(this.dir, { recursive: true, force: true });
  }

  async #operatorLog(): Promise<string> {
    const files = globSync(`${this.country.kubelet.logDir('domicile-system', '*')}/*.log`);
    const logs = files.map(async (file) => (await readFile(file, 'utf8')).slice(-2_000));
    return (await Promise.all(logs)).join('\n---\n');
  }

  async #balanced(name: string): Promise<string> {
    const place = { name, namespace: 'domicile' };
    const { client } = this.country.bed;
    return until(
      `the address of ${name}`,
      async () => addressOf(await client.get('v1', 'Service', place)) ?? '',
      { fits: (address) => address !== '' },
    );
  }

  /** By openssl, which shares no code with the issuer. */
  async #enrol(building: string, token: string): Promise<void> {
    const options = { cwd: this.dir };
    const named = (end: string) => `${building}.${end}`;
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    const out = ['-keyout', named('key'), '-out', named('csr'), '-outform', 'DER'];
    await run('openssl', ['req', '-new', ...curve, '-subj', '/CN=gw-1', ...out], options);
    const request = await readFile(join(this.dir, named('csr')));
    const answer = await until(
      `the enrolment of ${building}`,
      () => this.#askForCertificate(building, token, request.toString('base64')),
      { fits: ({ status }) => status === 200 },
    );
    await writeFile(join(this.dir, named('p7')), Buffer.from(answer.body, 'base64'));
    const read = ['pkcs7', '-inform', 'DER', '-print_certs', '-in', named('p7')];
    await run('openssl', [...read, '-out', named('pem')], options);
  }

  async #askForCertificate(building: string, token: string, body: string) {
    const authorization = `Basic ${Buffer.from(`${building}:${token}`).toString('base64')}`;
    const response = await fetch(`${await this.api()}/.well-known/est/simpleenroll`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/pkcs10' },
      body,
    });
    return { status: response.status, body: await response.text() };
  }
}

import { execFile } from 'node:child_process';
import { globSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { KubeCountry } from '@domicile/cell/kube-country.ts';
import { addressOf } from '@domicile/devkit/kube/load-balancers.ts';
import { connectAsync, type MqttClient } from 'mqtt';
import { z } from 'zod';
import { until } from './api.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const charts = join(root, 'charts');
const group = 'domicile.dev/v1alpha1';
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
const podSchema = z.looseObject({
  status: z.looseObject({
    podIP: z.string().default(''),
    containerStatuses: z.array(z.looseObject({ restartCount: z.number() })).default([]),
  }),
});

/** A country in a cluster of its own, brought up as an SRE does it: by Helm alone. */
export class OnboardedCountry implements AsyncDisposable {
  readonly country: KubeCountry;
  readonly #dir: string;

  /** Resolves when the operator is installed and the Cell declared with the buildings of the demo. */
  static async start(country: string): Promise<OnboardedCountry> {
    const dir = await mkdtemp(join(tmpdir(), `onboarded-${country}-`));
    const options = { country, dir: join(dir, 'kube'), brokers: 1 as const };
    const say = (text: string): void => void process.stderr.write(`… ${country}: ${text}\n`);
    const up = new OnboardedCountry(await KubeCountry.start({ ...options, say }), dir);
    try {
      const { values } = up.country.file;
      await up.helm('operator', 'domicile-system', values.operator, '--wait');
      await up.helm('cell', 'domicile-system', values.cell);
      await up.helm('buildings', 'domicile-buildings', values.buildings);
    } catch (error) {
      await up[Symbol.asyncDispose]();
      throw error;
    }
    return up;
  }

  private constructor(country: KubeCountry, dir: string) {
    this.country = country;
    this.#dir = dir;
  }

  async helm(
    chart: 'operator' | 'cell' | 'buildings',
    namespace: string,
    values: string,
    ...more: string[]
  ): Promise<void> {
    const name = `domicile-${chart}`;
    const place = ['upgrade', '--install', name, join(charts, name), '--namespace', namespace];
    const { status, stderr } = await this.country.bed.helm([...place, '--values', values, ...more]);
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

  async api(): Promise<string> {
    return `http://${await this.#balanced('api-gateway')}:8080`;
  }

  /** Enrols as a gateway would, with what its Secret says, and connects by mutual TLS with the certificate that it is given. */
  async connect(building: string): Promise<MqttClient> {
    const name = `${building}-gateway`;
    const place = { name, namespace: 'domicile-buildings' };
    const { client } = this.country.bed;
    const { data } = secretSchema.parse(await client.get('v1', 'Secret', place));
    const secret = (key: string) => Buffer.from(data[key] ?? '', 'base64').toString();
    const { certificate, key } = await this.#enrol(building, secret('enrolment-token'));
    const host = await this.#balanced('broker');
    const cc = this.country.file.country.toLowerCase();
    return connectAsync(`mqtts://${host}:8883`, {
      clientId: `${building}-gw`,
      servername: `mqtt.${cc}.domicile.example`,
      ca: secret('ca.crt'),
      cert: certificate,
      key,
      reconnectPeriod: 0,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.country[Symbol.asyncDispose]();
    await rm(this.#dir, { recursive: true, force: true });
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
  async #enrol(building: string, token: string): Promise<{ certificate: string; key: string }> {
    const options = { cwd: this.#dir };
    const named = (end: string) => `${building}.${end}`;
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    const out = ['-keyout', named('key'), '-out', named('csr'), '-outform', 'DER'];
    await run('openssl', ['req', '-new', ...curve, '-subj', '/CN=gw-1', ...out], options);
    const request = await readFile(join(this.#dir, named('csr')));
    const answer = await until(
      `the enrolment of ${building}`,
      () => this.#askForCertificate(building, token, request.toString('base64')),
      { fits: ({ status }) => status === 200 },
    );
    await writeFile(join(this.#dir, named('p7')), Buffer.from(answer.body, 'base64'));
    const read = ['pkcs7', '-inform', 'DER', '-print_certs', '-in', named('p7')];
    const { stdout } = await run('openssl', read, options);
    return { certificate: stdout, key: await readFile(join(this.#dir, named('key')), 'utf8') };
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

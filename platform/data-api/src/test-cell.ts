/** For tests: real Kafka with rights, what a cell's streams hold, and services of the lake as processes. */
import { fail } from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { addValue, emptyAggregate, encodeAggregate } from '@domicile/core/aggregate.ts';
import type { BuildingRecord } from '@domicile/core/building.ts';
import type { Reading } from '@domicile/core/reading.ts';
import {
  headers,
  type Principal,
  type StreamName,
  streams,
  topicOf,
} from '@domicile/core/streams.ts';
import type { SummaryRecord } from '@domicile/core/summary.ts';
import { CellKafka } from '@domicile/devkit/cell-kafka.ts';
import { IdempotentProducer } from '@domicile/kafka/idempotent-producer.ts';
import { z } from 'zod';
import { headersOf, secret, testBuildings } from './test-support.ts';

export const root = resolve(import.meta.dirname, '../../..');
const written = ['registry', 'latest', 'readings', 'summaries', 'account'] as const;

export interface ServiceStart {
  /** Of the checkout. */
  readonly main: string;
  readonly principal: Principal;
  readonly env: Readonly<Record<string, string>>;
  /** For Node itself. */
  readonly nodeArgs?: readonly string[];
}

export interface Api {
  readonly url: string;
  readonly adminUrl: string;
}

export class TestCell implements AsyncDisposable {
  readonly kafka: CellKafka;
  /** Of its own; `secret` in it is the front door's. */
  readonly folder: string;
  readonly #producer: IdempotentProducer;
  readonly #parts: AsyncDisposableStack;

  static async start(): Promise<TestCell> {
    await using parts = new AsyncDisposableStack();
    const kafka = parts.use(await CellKafka.start({ country: 'DE', partitions: 2 }));
    const folder = await realpath(await mkdtemp(join(tmpdir(), 'data-api-')));
    parts.defer(() => rm(folder, { recursive: true, force: true }));
    await writeFile(join(folder, 'secret'), secret);
    const topics = written.map((stream) => topicOf('DE', stream));
    const client = kafka.admin();
    const producer = await IdempotentProducer.open({ client, clientId: 'test', topics });
    parts.defer(() => producer.close());
    return new TestCell({ kafka, folder, producer, parts: parts.move() });
  }

  private constructor(of: {
    kafka: CellKafka;
    folder: string;
    producer: IdempotentProducer;
    parts: AsyncDisposableStack;
  }) {
    this.kafka = of.kafka;
    this.folder = of.folder;
    this.#producer = of.producer;
    this.#parts = of.parts;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.disposeAsync();
  }

  /** What every service of the cell is told. */
  async settingsOf(principal: Principal): Promise<Record<string, string>> {
    const passwordFile = join(this.folder, `${principal}.password`);
    await writeFile(passwordFile, `${principal}-secret`);
    return {
      CELL_COUNTRY: 'DE',
      KAFKA_BOOTSTRAP: this.kafka.bootstrap,
      KAFKA_USER: principal,
      KAFKA_PASSWORD_FILE: passwordFile,
    };
  }

  /** It ends with the cell. Whose output nobody reads would be held up by it. */
  async start({ main, principal, env, nodeArgs = [] }: ServiceStart): Promise<ChildProcess> {
    const child = spawn(process.execPath, [...nodeArgs, join(root, main)], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ADMIN_PORT: '0', ...(await this.settingsOf(principal)), ...env },
    });
    this.#parts.defer(() => ended(child));
    child.stdout?.resume();
    return child;
  }

  /** Starts a service that says where it listens. */
  async startApi(of: ServiceStart): Promise<Api> {
    const child = await this.start(of);
    const lines = createInterface({ input: child.stdout ?? fail('no output') });
    for await (const line of lines) {
      const read = z.object({ url: z.string(), adminUrl: z.string() }).safeParse(JSON.parse(line));
      if (!read.success) continue;
      lines.on('line', () => undefined).resume();
      return read.data;
    }
    throw new Error(`${of.main} did not start`);
  }

  async write(stream: StreamName, key: string, value: unknown): Promise<void> {
    await this.#producer.send({
      topic: topicOf('DE', stream),
      key: Buffer.from(key),
      value: Buffer.from(JSON.stringify(value)),
      headers: { [headers.schema]: streams[stream].schema },
    });
  }

  async writeBuildings(): Promise<void> {
    for (const building of testBuildings()) await this.write('registry', building.id, building);
  }
}

/** Resolves when it has ended. */
export async function ended(
  child: ChildProcess,
  signal: NodeJS.Signals = 'SIGTERM',
): Promise<void> {
  const { promise, resolve: done } = Promise.withResolvers<void>();
  child.once('exit', () => done());
  if (child.exitCode === null && child.signalCode === null) child.kill(signal);
  else done();
  await promise;
}

/** Measured and received at the same time. */
export function readingOf(
  building: BuildingRecord['id'],
  seq: number,
  measuredAtMs: number,
): Reading {
  return {
    building,
    floor: '1',
    room: 'r1',
    device: 'r1-air',
    client: 'acme',
    type: 'air-quality',
    boot: 'b',
    seq,
    measuredAtMs,
    receivedAtMs: measuredAtMs,
    timeSource: 'device',
    values: { temperature: seq },
    units: { temperature: 'Cel' },
  };
}

/** A closed minute of the building `de-one`, of one value. */
export function minuteOf(windowStartMs: number, value: number): SummaryRecord {
  const aggregate = emptyAggregate();
  addValue(aggregate, value);
  return {
    building: 'de-one',
    windowStartMs,
    level: 'building',
    id: 'de-one',
    kind: 'window',
    revision: 1,
    final: true,
    offset: -1,
    metrics: { co2: { unit: '[ppm]', aggregate: encodeAggregate(aggregate) } },
  };
}

export async function askJson(
  base: string,
  path: string,
  claims: Parameters<typeof headersOf>[0] = {},
): Promise<unknown> {
  return (await fetch(`${base}${path}`, { headers: headersOf(claims) })).json();
}

/** As `/metrics` tells it; undefined if it does not. */
export async function gaugeOf(adminUrl: string, name: string): Promise<number | undefined> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  const told = new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, 'm').exec(text)?.[1];
  return told === undefined ? undefined : Number(told);
}

/** What `/readyz` says is in the way; `unreachable` if nobody answers. */
export async function unreadinessOf(adminUrl: string): Promise<readonly string[]> {
  const answer = await fetch(`${adminUrl}/readyz`).catch(() => undefined);
  if (!answer) return ['unreachable'];
  return z.object({ reasons: z.array(z.string()) }).parse(await answer.json()).reasons;
}

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { Client, type Patience } from './client.ts';
import type { Connect, Version } from './wire.ts';

/** The server that is judged. */
export interface Target extends Patience {
  /**
   * A new connection, at which nothing was said yet. The connections of one test are counted from 0, so that a cluster
   * can spread them over its servers.
   */
  connect(nth: number): Promise<Duplex>;
}

/** A statement of the standard, brought to the test. */
export interface Case {
  /** Numbers of statements, parted by spaces: of MQTT 5.0 and of 3.1.1. It runs in each version that it names. */
  readonly v5?: string;
  readonly v3?: string;
  readonly says: string;
  run(bench: Bench): Promise<void>;
}

/** A CONNECT whose client id is a name. */
export interface Arriving extends Omit<Connect, 'clientId'> {
  readonly clientId?: string;
  /** Unless it is that of the test. */
  readonly version?: Version;
}

/** What one test has: clients, and names that no other test has. */
export class Bench implements Disposable {
  readonly version: Version;
  readonly prefix = `c${randomUUID().slice(0, 8)}`;
  readonly #target: Target;
  readonly #clients: Client[] = [];
  #named = 0;

  constructor(target: Target, version: Version) {
    this.#target = target;
    this.version = version;
  }

  get is5(): boolean {
    return this.version === 5;
  }

  topic(path: string): string {
    return `${this.prefix}/${path}`;
  }

  clientId(): string {
    this.#named += 1;
    return `${this.prefix}n${this.#named}`;
  }

  /** A connection that has said nothing. */
  async open(clientId = this.clientId(), version = this.version): Promise<Client> {
    const nth = this.#clients.length;
    const socket = await this.#target.connect(nth);
    const client = new Client(socket, { version, clientId, patience: this.#target });
    this.#clients.push(client);
    return client;
  }

  /** A client whose CONNECT was accepted. */
  async client({ clientId, version, ...of }: Arriving = {}): Promise<Client> {
    const client = await this.open(clientId, version);
    const connack = await client.connect(of);
    assert.equal(connack.code, 0, 'CONNECT is accepted');
    return client;
  }

  /** Its session outlives its connection, in either version. */
  kept(clientId: string, of: Arriving = {}): Arriving & { readonly clientId: string } {
    const properties = [['sessionExpiry', 60], ...(of.properties ?? [])] as const;
    return { ...of, clientId, clean: false, ...(this.is5 && { properties }) };
  }

  /** Waits until it holds. If it never does, what the test compares then tells why. */
  async until(condition: () => boolean): Promise<void> {
    const end = performance.now() + this.#target.patienceMs;
    while (!condition() && performance.now() < end) await wait(10);
  }

  /** Runs the same with several values, and tells all that failed. */
  async every<Value>(values: readonly Value[], act: (value: Value) => Promise<void>) {
    const failed: string[] = [];
    for (const value of values) {
      await act(value).catch((error: unknown) => {
        const why = error instanceof Error ? error.message : 'failed';
        failed.push(`${inWords(value)}: ${why}`);
      });
    }
    assert.deepEqual(failed, []);
  }

  /** Runs the same with several connections, one after the other, and tells all that failed. */
  each<Value>(values: readonly Value[], act: (client: Client, value: Value) => Promise<void>) {
    return this.every(values, async (value) => act(await this.client(), value));
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients) client.cut();
  }
}

function inWords(value: unknown): string {
  return Buffer.isBuffer(value) ? value.toString('hex') : JSON.stringify(value);
}

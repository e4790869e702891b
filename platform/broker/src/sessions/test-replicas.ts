import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@domicile/devkit/free-ports.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { TestHouse } from '../test-house.ts';

interface Replica {
  readonly port: number;
  child: ChildProcess;
}

/** Replicas of a broker as processes of their own, which can be stopped, continued and killed. For tests. */
export class TestReplicas implements AsyncDisposable {
  readonly house: TestHouse;
  readonly #folder: string;
  readonly #replicas: Replica[] = [];

  static async open(count: number): Promise<TestReplicas> {
    const folder = await mkdtemp(join(tmpdir(), 'broker-'));
    await writeFile(join(folder, 'kafka-password'), 'broker-secret', { mode: 0o600 });
    const replicas = new TestReplicas(await TestHouse.openIdle(), folder);
    for (let index = 0; index < count; index += 1) {
      const port = await freePort();
      replicas.#replicas.push({ port, child: await replicas.#spawn(port) });
    }
    return replicas;
  }

  private constructor(house: TestHouse, folder: string) {
    this.house = house;
    this.#folder = folder;
  }

  get ports(): readonly number[] {
    return this.#replicas.map(({ port }) => port);
  }

  port(index: number): number {
    return this.#at(index).port;
  }

  signal(index: number, signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#at(index).child.kill(signal);
  }

  /** Ends the process, and says how long that took, in milliseconds. */
  async end(index: number, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const { child } = this.#at(index);
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }

  async startAgain(index: number): Promise<void> {
    const replica = this.#at(index);
    replica.child = await this.#spawn(replica.port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const index of this.#replicas.keys()) await this.end(index, 'SIGKILL');
    await this.house[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true });
  }

  async #spawn(port: number): Promise<ChildProcess> {
    const child = spawn(process.execPath, [join(import.meta.dirname, '../main.ts')], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        CELL_COUNTRY: 'DE',
        KAFKA_BOOTSTRAP: this.house.kafka.bootstrap,
        KAFKA_USER: 'broker',
        KAFKA_PASSWORD_FILE: join(this.#folder, 'kafka-password'),
        BROKER_MQTT_PORT: `${port}`,
        BROKER_BUILDING_CONNECTIONS_MAX: '5000',
        ADMIN_PORT: '0',
      },
    });
    let told = '';
    child.stdout?.on('data', (text) => {
      told = (told + String(text)).slice(-10_000);
    });
    await waitFor('the broker', () => told.includes('Broker listens') || child.exitCode !== null);
    return child;
  }

  #at(index: number): Replica {
    const replica = this.#replicas[index];
    if (!replica) throw new Error(`There is no replica ${index}`);
    return replica;
  }
}

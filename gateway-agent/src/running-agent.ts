import { PlatformError } from '@domicile/core/errors.ts';
import { must } from '@domicile/core/invariants.ts';
import type { Logger } from 'pino';
import { type AgentConfig, successorCommand, successorEnvironment } from './config.ts';
import type { Driver } from './drivers/driver.ts';
import { type Duty, portsOf, writePid } from './duty.ts';
import type { StoreSet } from './store/store-set.ts';
import type { Store } from './store/store.ts';
import type { SocketKeeper } from './upgrade/socket-keeper.ts';
import { Successor } from './upgrade/successor.ts';
import type { Uplink } from './uplink/uplink.ts';

export interface Agent extends AsyncDisposable {
  readonly store: Store;
  /** By driver: the port that its devices reach it at. */
  readonly ports: Readonly<Record<string, number>>;
  readonly adminUrl: string;
  /**
   * Starts the next agent and hands over to it, without a gap. Resolves to its process when it takes connections; throws
   * `UPSTREAM_UNAVAILABLE` if it does not come, and this agent goes on, or `CONFLICT` while one is under way.
   */
  upgrade(): Promise<{ readonly pid: number }>;
  /** Resolves when the next agent has taken over and nothing is left to do here. */
  readonly handedOver: Promise<void>;
}

export interface RunningParts {
  readonly config: AgentConfig;
  readonly stores: Pick<StoreSet, 'main' | 'hasPending' | 'pause' | 'resume'>;
  readonly uplink: Pick<Uplink, 'handOver'>;
  readonly keeper: Pick<SocketKeeper, 'kept' | 'stopAccepting' | 'leave'>;
  readonly drivers: readonly Driver[];
  readonly log: Logger;
  readonly fail: (error: unknown) => void;
}

/** What an agent has begun, in the order it ends: who listens takes in nothing more, then the duty ends, then the stores close. */
export interface Begun {
  readonly listening: AsyncDisposable;
  readonly duty: Duty;
  readonly stores: AsyncDisposable;
}

/** An agent that is there: it stops, or hands over to the next one. */
export class RunningAgent implements Agent {
  readonly #parts: RunningParts;
  readonly #handedOver = Promise.withResolvers<void>();
  #begun: Begun | undefined;
  #ending: Promise<void> | undefined;
  #isUpgrading = false;

  constructor(parts: RunningParts) {
    this.#parts = parts;
  }

  begin(begun: Begun): void {
    this.#begun = begun;
  }

  get store(): Store {
    return this.#parts.stores.main;
  }

  get ports(): Readonly<Record<string, number>> {
    return portsOf(this.#parts.drivers);
  }

  get adminUrl(): string {
    return must(this.#begun, 'An agent that is there has begun').duty.adminUrl;
  }

  get handedOver(): Promise<void> {
    return this.#handedOver.promise;
  }

  async upgrade(): Promise<{ readonly pid: number }> {
    const { config, keeper, log } = this.#parts;
    if (process.platform !== 'linux')
      throw new PlatformError(
        'CONFLICT',
        'Cannot upgrade: only Linux locks stores; restart instead',
      );
    await this.#beginUpgrade();
    log.info('Next agent is started');
    const successor = new Successor({
      command: config.upgrade.command ?? successorCommand(),
      environment: successorEnvironment(keeper.kept.map(({ name }) => name)),
      sockets: keeper.kept,
      readyTimeoutMs: config.upgrade.readyTimeoutMs,
    });
    try {
      await successor.ready();
      this.#requireNoStop();
      await successor.listen();
      this.#requireNoStop();
    } catch (error) {
      await this.#rollBack(successor, error);
      throw error;
    }
    const { pid } = successor;
    this.#ending = this.#handOver(successor).catch(this.#parts.fail);
    return { pid };
  }

  /** Before anything is waited for: who asks meanwhile hears that one is under way. */
  async #beginUpgrade(): Promise<void> {
    const underWay = 'Cannot upgrade: one is under way; wait for its end';
    if (this.#isUpgrading || this.#ending) throw new PlatformError('CONFLICT', underWay);
    this.#isUpgrading = true;
    try {
      if (await this.#parts.stores.hasPending()) throw new PlatformError('CONFLICT', underWay);
      this.#requireNoStop();
    } catch (error) {
      this.#isUpgrading = false;
      throw error;
    }
    this.#parts.stores.pause();
  }

  /** Who is told to stop begins no other that would go on. */
  #requireNoStop(): void {
    if (this.#ending) throw new PlatformError('CONFLICT', 'Cannot upgrade: the agent stops');
  }

  /** What the next one took in before it failed is in a store of its own: this one sends it. */
  async #rollBack(successor: Successor, error: unknown): Promise<void> {
    const { config, stores, log } = this.#parts;
    successor.kill();
    this.#isUpgrading = false;
    await writePid(config.dataDirectory);
    stores.resume();
    log.error({ err: error }, 'Upgrade failed, this agent goes on');
  }

  async #handOver(successor: Successor): Promise<void> {
    const { config, keeper, uplink, log, fail } = this.#parts;
    const { duty, listening, stores } = must(this.#begun, 'Only who has begun hands over');
    successor.onEnd(() =>
      fail(new PlatformError('UPSTREAM_UNAVAILABLE', 'The next agent ended while it took over')),
    );
    keeper.stopAccepting();
    uplink.handOver();
    const [cut] = await Promise.all([
      keeper.leave(config.upgrade.leaveTimeoutMs),
      duty[Symbol.asyncDispose](),
    ]);
    await listening[Symbol.asyncDispose]();
    await stores[Symbol.asyncDispose]();
    log.info({ cut, next: successor.pid }, 'Handed over');
    successor.release();
    this.#handedOver.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending ??= this.#stop();
    await this.#ending;
  }

  async #stop(): Promise<void> {
    if (!this.#begun) return;
    const { duty, listening, stores } = this.#begun;
    await listening[Symbol.asyncDispose]();
    await duty[Symbol.asyncDispose]();
    await stores[Symbol.asyncDispose]();
  }
}

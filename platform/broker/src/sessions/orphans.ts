import type { InboundMessage } from '@domicile/mqtt/owner.ts';
import {
  currentOf,
  endsAtMs,
  type LivingSession,
  livingOf,
  willAtMs,
  willMessageOf,
} from '../model/sessions/kept-state.ts';
import type { ReplicasView } from '../model/sessions/replicas-view.ts';
import type { KeptSession, SessionsView } from '../model/sessions/sessions-view.ts';
import type { Claims } from './claims.ts';
import type { SessionEvents, SessionKeeper } from './session-keeper.ts';

export interface OrphansOptions {
  readonly view: SessionsView;
  readonly replicas: ReplicasView;
  readonly claims: Pick<Claims, 'adopt'>;
  readonly keeper: Pick<SessionKeeper, 'holds' | 'keep' | 'remove'>;
  readonly events: Pick<SessionEvents, 'orphanFailed' | 'orphanEnded'>;
  /** Publishes a will of the session; resolves when it is kept. */
  readonly publishWill: (
    origin: KeptSession,
    living: LivingSession,
    will: InboundMessage,
  ) => Promise<void>;
  /** Removes what it gave as its last sign of life. */
  readonly forgetReplica: (replica: string) => Promise<void>;
  readonly clock?: () => number;
}

interface Orphan {
  readonly session: KeptSession;
  readonly living: LivingSession;
  readonly lostAtMs: number;
}

const sweepEveryMs = 1000;
/** Of one sweep; the rest has its turn in the next. */
const dueMax = 500;
/** A replica whose claims are read before its first sign of life is not dead. */
const noticeMs = 2000;

/**
 * Sees to the sessions that nobody has: of replicas that died or left, and of clients that were gone before their session
 * was open here. Wills are published and sessions end when it is their time; until then nothing is touched, as their clients
 * may come back anywhere.
 */
export class Orphans implements AsyncDisposable {
  readonly #options: OrphansOptions;
  readonly #clock: () => number;
  readonly #living = new WeakMap<Buffer, LivingSession>();
  readonly #noticedAtMs = new WeakMap<KeptSession, number>();
  readonly #timer: NodeJS.Timeout;
  #sweeping: Promise<void> | undefined;

  constructor(options: OrphansOptions) {
    this.#options = options;
    this.#clock = options.clock ?? Date.now;
    this.#timer = setInterval(() => {
      this.#sweeping ??= this.sweep().finally(() => {
        this.#sweeping = undefined;
      });
    }, sweepEveryMs).unref();
  }

  /** Does what is due by now. */
  async sweep(): Promise<void> {
    const nowMs = this.#clock();
    const due: Orphan[] = [];
    const owners = new Set<string>();
    for (const session of this.#options.view.all()) {
      owners.add(session.replica);
      const orphan = this.#orphan(session, nowMs);
      if (orphan && due.length < dueMax && dueAtMs(orphan) <= nowMs) due.push(orphan);
    }
    this.#forgetReplicas(owners);
    const { events } = this.#options;
    await Promise.all(
      due.map((orphan) =>
        this.#see(orphan, nowMs).catch((error: unknown) => events.orphanFailed(error)),
      ),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#sweeping;
  }

  /** Dead ones that have left nothing. */
  #forgetReplicas(owners: ReadonlySet<string>): void {
    const { replicas, forgetReplica, events } = this.#options;
    if (!replicas.isFirst()) return;
    for (const replica of replicas.dead()) {
      if (owners.has(replica)) continue;
      forgetReplica(replica).catch((error: unknown) => events.orphanFailed(error));
    }
  }

  #orphan(session: KeptSession, nowMs: number): Orphan | undefined {
    const { replicas, keeper } = this.#options;
    const { replica, released, key } = session;
    const isOurs = replica === replicas.self;
    if (isOurs && !released ? keeper.holds(key) : replicas.isLiving(replica) && !released) {
      return undefined;
    }
    if (!isOurs && !replicas.isFirst()) return undefined;
    const noticedAtMs = this.#noticedAtMs.get(session) ?? nowMs;
    this.#noticedAtMs.set(session, noticedAtMs);
    if (!released && nowMs - noticedAtMs < noticeMs) return undefined;
    const living = this.#livingOf(session);
    return living && { session, living, lostAtMs: noticedAtMs };
  }

  /** Parsed once for each state that is written. */
  #livingOf(session: KeptSession): LivingSession | undefined {
    const { state } = session;
    const known = state && this.#living.get(state);
    if (known) return known;
    const living = currentOf(session) ?? livingOf({ ...session, state: undefined });
    if (state && living) this.#living.set(state, living);
    return living;
  }

  async #see({ session, living, lostAtMs }: Orphan, nowMs: number): Promise<void> {
    const { claims, keeper, events, publishWill } = this.#options;
    const { will } = living.connect;
    const isOver = endsAtMs(living, lostAtMs) <= nowMs;
    // Whose will is published once must be ours in the log.
    const adopted = will ? await claims.adopt(session) : session;
    if (!adopted) return;
    if (will) await publishWill(adopted, living, willMessageOf(will));
    if (isOver) {
      await keeper.remove(adopted, living);
      events.orphanEnded();
      return;
    }
    const { will: _, ...connect } = living.connect;
    await keeper.keep(adopted, {
      ...living,
      connect,
      disconnectedAtMs: living.disconnectedAtMs ?? lostAtMs,
    });
  }
}

function dueAtMs({ living, lostAtMs }: Orphan): number {
  return Math.min(willAtMs(living, lostAtMs), endsAtMs(living, lostAtMs));
}

import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { ReplicasView } from '../model/sessions/replicas-view.ts';
import type { ClaimRecord } from '../model/sessions/session-records.ts';
import type { KeptSession, SessionsView } from '../model/sessions/sessions-view.ts';
import type { SessionLog } from './session-log.ts';

export interface ClaimsOptions {
  readonly log: Pick<SessionLog, 'record' | 'write' | 'readBack'>;
  readonly view: SessionsView;
  readonly replicas: ReplicasView;
  /** How long an owner before that lives is waited for. */
  readonly handoverTimeoutMs: number;
  /** Sees to it that nothing comes any more of what the replica has begun and not committed. */
  readonly fence: (replica: string) => Promise<void>;
}

/** How a session came here: whether its owner before has let go, and if not, why it was not waited for. */
export type Handover = 'new' | 'released' | 'dead' | 'timeout';

export interface Claimed {
  readonly session: KeptSession;
  readonly handover: Handover;
}

/** Makes sessions this replica's. Whose claim comes later in the log has the session. */
export class Claims {
  readonly #options: ClaimsOptions;
  readonly #changes = new Map<string, PromiseWithResolvers<void>>();

  constructor(options: ClaimsOptions) {
    this.#options = options;
  }

  /** Takes the session from whoever has it. Undefined: somebody else claimed it after us. */
  async take(
    key: string,
    claim: Pick<ClaimRecord, 'clean' | 'connect'>,
  ): Promise<Claimed | undefined> {
    const session = await this.#claim(key, claim);
    if (!session) return undefined;
    const handover = await this.#handover(session);
    // The fold has gone on meanwhile.
    const now = this.#options.view.get(key);
    if (now?.epoch === session.epoch) return { session: now, handover };
    await this.letGo(key, session.epoch);
    return undefined;
  }

  /** Lets go of what somebody else has claimed since, or who that is would wait for us. */
  async letGo(session: string, epoch: bigint): Promise<void> {
    const { log, view } = this.#options;
    if (!view.get(session)?.unreleased.has(epoch)) return;
    await log.write(log.record({ of: 'released', session, epoch }, {}));
  }

  /** Takes what a dead replica left. Undefined: somebody else has it. */
  async adopt({ key, epoch }: KeptSession): Promise<KeptSession | undefined> {
    return this.#claim(key, { expects: `${epoch}` });
  }

  /** Something of the session was read. */
  changed(key: string): void {
    this.#changes.get(key)?.resolve();
    this.#changes.delete(key);
  }

  /** A replica came or went. */
  replicasChanged(): void {
    for (const key of this.#changes.keys()) this.changed(key);
  }

  async #claim(key: string, claim: Omit<ClaimRecord, 'replica'>): Promise<KeptSession | undefined> {
    const { log, view, replicas } = this.#options;
    const claimId = randomUUID();
    const claimKey = { of: 'claim', session: key, claimId } as const;
    const record: ClaimRecord = { replica: replicas.self, ...claim };
    const written = await log.write(log.record(claimKey, record));
    await log.readBack(written);
    const session = view.get(key);
    if (session?.claimId === claimId) return session;
    // It did not count, or no more.
    await this.letGo(key, written.offset);
    if (claim.expects !== undefined) await log.write(log.record(claimKey));
    return undefined;
  }

  async #handover({ key, epoch }: KeptSession): Promise<Handover> {
    const { view, replicas, handoverTimeoutMs, fence } = this.#options;
    const deadlineMs = performance.now() + handoverTimeoutMs;
    for (let waited = false; ; waited = true) {
      const session = view.get(key);
      const owners = session?.epoch === epoch ? [...session.unreleased.values()] : [];
      const others = new Set(owners.filter((owner) => owner !== replicas.self));
      if (others.size === 0) return session?.before || waited ? 'released' : 'new';
      const leftMs = deadlineMs - performance.now();
      const isDead = ![...others].some((replica) => replicas.isLiving(replica));
      if (isDead || leftMs <= 0) {
        await Promise.all([...others].map(fence));
        return isDead ? 'dead' : 'timeout';
      }
      await this.#change(key, leftMs);
    }
  }

  async #change(key: string, withinMs: number): Promise<void> {
    const change = this.#changes.get(key) ?? Promise.withResolvers<void>();
    this.#changes.set(key, change);
    const timer = new AbortController();
    const late = wait(withinMs, undefined, { signal: timer.signal }).catch(() => undefined);
    await Promise.race([change.promise, late]);
    timer.abort();
  }
}

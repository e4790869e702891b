import type { Session, Subscription } from '@domicile/mqtt/owner.ts';
import { readerOf } from '../model/messages/share-assignment.ts';
import {
  groupName,
  memberKey,
  positionKey,
  positionValue,
  ShareBook,
} from '../model/messages/share-book.ts';
import type { FeedEvents } from './feed-events.ts';
import type { GroupLog } from './feed.ts';
import type { LogTails } from './log-tails.ts';
import type { Reading } from './reading.ts';
import { ShareGroup, type ShareGroupHost } from './share-group.ts';
import type { Place, TopicPolicy } from './topic-policy.ts';

export interface ShareGroupsOptions {
  readonly log: GroupLog;
  readonly tails: LogTails;
  readonly policy: TopicPolicy;
  readonly events: FeedEvents;
}

type Shared = Subscription & { readonly share: string };

export function isShared(subscription: Subscription): subscription is Shared {
  return subscription.share !== undefined;
}

const sharePrefix = '$share/';
/** Positions of groups are kept so often. */
const keepEveryMs = 500;
/** Another replica's hold on a place is respected for so long after it should let go. */
const patienceMs = 5_000;
/** Before a place is let go, what is with its members may still be acked. */
const settleMs = 2_000;
/** A group without members is forgotten after so long: a member may be on its way between replicas. */
const emptyMs = 10_000;

/**
 * Share groups over all replicas. The places of a group are spread over the replicas that have connected members, by what
 * all of them know from the log of groups; each reads its own and gives messages to its members in turn. A place changes
 * hands by way of that log: who read it writes how far it came and lets go, and whose turn it is goes on from there.
 */
export class ShareGroups implements ShareGroupHost, AsyncDisposable {
  readonly #options: ShareGroupsOptions;
  readonly #book = new ShareBook();
  readonly #local = new Map<string, ShareGroup>();
  readonly #moved = new Map<string, { readonly group: ShareGroup; readonly reading: Reading }>();
  /** Places that are being let go or taken. */
  readonly #changing = new Set<string>();
  readonly #waitingSinceMs = new Map<string, number>();
  readonly #emptySinceMs = new Map<string, number>();
  /** Writes and changes of hands that are under way. */
  readonly #work = new Set<Promise<void>>();
  readonly #ticking: NodeJS.Timeout;

  constructor(options: ShareGroupsOptions) {
    this.#options = options;
    const { log } = options;
    for (const [key, value] of log.entries()) this.#book.note(key, value);
    log.changed((key) => {
      const name = key === undefined ? undefined : this.#book.note(key, log.entries().get(key));
      if (name !== undefined) this.#arrange(name);
      else if (key === undefined) this.#arrangeAll();
    });
    this.#ticking = setInterval(() => this.#tick(), keepEveryMs).unref();
  }

  /**
   * Resolves when the session is a member, and the group has a place to begin. `isCurrent` tells whether the session is still
   * the one that its key stands for: it may end, or be taken over, in between.
   */
  async join(
    session: Session<unknown>,
    subscription: Shared,
    isCurrent: () => boolean,
  ): Promise<void> {
    const name = groupName(subscription);
    const { log, tails, policy } = this.#options;
    const places = policy.placesOf(subscription.filter);
    const missing = places.filter(({ key }) => !this.#book.position(name, key));
    if (missing.length > 0) await tails.atEnd(missing);
    for (const place of missing) {
      if (this.#book.position(name, place.key)) continue;
      const position = { next: tails.tail(place).next };
      const value = positionValue({ reader: undefined, isFree: true, position });
      await this.#write(positionKey(name, place.key), value);
    }
    if (!isCurrent()) return;
    if (session.connected) this.#connect(session, subscription);
    const replica = session.connected ? log.replica : null;
    await this.#write(memberKey(name, session.key), { replica });
  }

  /** A member has a connection again. */
  connected(session: Session<unknown>, subscription: Shared): void {
    this.#connect(session, subscription);
    const key = memberKey(groupName(subscription), session.key);
    this.#writeSoon(key, { replica: this.#options.log.replica });
  }

  /** A member has no connection, and may come back. */
  disconnected(session: Session<unknown>, subscription: Shared): void {
    const name = groupName(subscription);
    const { key } = session;
    if (this.#isSucceeded(name, session)) return;
    this.#local.get(name)?.lose(key);
    this.#arrange(name);
    if (this.#isOurs(name, key)) this.#writeSoon(memberKey(name, key), { replica: null });
  }

  /** It is no member any more. */
  left(session: Session<unknown>, subscription: Shared): void {
    const name = groupName(subscription);
    const { key } = session;
    if (this.#isSucceeded(name, session)) return;
    this.#local.get(name)?.leave(key);
    this.#arrange(name);
    if (this.#isOurs(name, key)) this.#writeSoon(memberKey(name, key), undefined);
  }

  /** A member that was not served here is forgotten; `name` is that of its subscription. */
  forgotten(key: string, name: string): void {
    const group = name.startsWith(sharePrefix) ? name.slice(sharePrefix.length) : undefined;
    if (group === undefined || this.#book.member(group, key)?.replica !== undefined) return;
    this.#writeSoon(memberKey(group, key), undefined);
  }

  /** A member of this replica has room again. */
  room(key: string, subscription: Shared): void {
    const group = this.#local.get(groupName(subscription));
    if (!group?.members.has(key)) return;
    for (const reading of group.readings.values()) if (!this.#options.tails.goOn(reading)) return;
  }

  delivered(delivery: Parameters<FeedEvents['delivered']>[1]): void {
    this.#options.events.delivered('message', delivery);
  }

  moved(group: ShareGroup, reading: Reading): void {
    this.#moved.set(positionKey(group.name, reading.tail.place.key), { group, reading });
  }

  returned(reading: Reading, offsets: readonly number[]): void {
    const { tails } = this.#options;
    tails.stepBack(reading);
    for (const offset of offsets) reading.cursor.recall(offset);
    tails.goOn(reading);
  }

  gone(group: ShareGroup, key: string): void {
    this.#arrange(group.name);
    if (this.#isOurs(group.name, key)) this.#writeSoon(memberKey(group.name, key), undefined);
  }

  missed(key: string, missing: { place: string; from: number; to: number }): void {
    this.#options.events.positionLost(key, missing);
  }

  /** Lets go of everything, so that others need not wait. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#ticking);
    const writes = [...this.#local.values()].flatMap((group) =>
      [...group.readings.values()].map((reading) => this.#writePosition(group, reading, true)),
    );
    await Promise.allSettled([...writes, ...this.#work]);
  }

  /** Failures are told, and the next change tries again. */
  #hold(work: Promise<void>): void {
    const told = work
      .catch((error: unknown) => this.#options.events.readBackFailed(error))
      .finally(() => this.#work.delete(told));
    this.#work.add(told);
  }

  #connect(session: Session<unknown>, subscription: Shared): void {
    const name = groupName(subscription);
    const group = this.#local.get(name) ?? new ShareGroup(name, subscription, this);
    if (!this.#local.has(name)) {
      this.#local.set(name, group);
      this.#options.tails.add(group.entry);
    }
    group.members.set(session.key, { key: session.key, session, subscription });
    for (const reading of group.readings.values()) this.#options.tails.goOn(reading);
  }

  /** Another session of the same key is the member: what becomes of this one is not its business. */
  #isSucceeded(name: string, session: Session<unknown>): boolean {
    const member = this.#local.get(name)?.members.get(session.key);
    return member !== undefined && member.session !== session;
  }

  /** Whether the entry of a member is for us to change: it may be connected elsewhere by now. */
  #isOurs(name: string, key: string): boolean {
    const replica = this.#book.member(name, key)?.replica;
    return replica === undefined || replica === this.#options.log.replica;
  }

  #arrangeAll(): void {
    for (const name of new Set([...this.#book.names(), ...this.#local.keys()])) this.#arrange(name);
  }

  /** Takes what this replica is to read for the group, and lets go of the rest. */
  #arrange(name: string): void {
    const group = this.#local.get(name);
    if (!group) return;
    const { log, policy } = this.#options;
    const replicas = this.#book.replicas(name, log.replicas());
    for (const place of policy.placesOf(group.entry.subscription.filter)) {
      const isOurs = group.members.size > 0 && readerOf(name, place.key, replicas) === log.replica;
      if (isOurs === group.readings.has(place.key)) continue;
      this.#hold(isOurs ? this.#takeOver(group, place) : this.#letGo(group, place));
    }
    if (group.members.size === 0 && group.readings.size === 0) {
      this.#options.tails.remove(group.entry);
      this.#local.delete(name);
    }
  }

  async #takeOver(group: ShareGroup, place: Place): Promise<void> {
    const { log, tails } = this.#options;
    const key = positionKey(group.name, place.key);
    const held = this.#book.position(group.name, place.key);
    if (this.#changing.has(key) || !held) return;
    if (!held.isFree && held.reader !== log.replica && !this.#isAbandoned(key, held.reader)) return;
    this.#waitingSinceMs.delete(key);
    this.#changing.add(key);
    try {
      await tails.follow([place]);
      await log.write(key, positionValue({ ...held, reader: log.replica, isFree: false }));
      tails.join(group.reading(tails.tail(place), held.position));
    } finally {
      this.#changing.delete(key);
    }
    this.#arrange(group.name);
  }

  /** Its reader is gone, or does not let go although it should. */
  #isAbandoned(key: string, reader: string | undefined): boolean {
    if (reader === undefined || !this.#options.log.replicas().has(reader)) return true;
    const sinceMs = this.#waitingSinceMs.get(key) ?? performance.now();
    this.#waitingSinceMs.set(key, sinceMs);
    return performance.now() - sinceMs > patienceMs;
  }

  async #letGo(group: ShareGroup, place: Place): Promise<void> {
    const { tails } = this.#options;
    const key = positionKey(group.name, place.key);
    const reading = group.readings.get(place.key);
    if (this.#changing.has(key) || !reading) return;
    this.#changing.add(key);
    try {
      tails.leave(reading);
      const untilMs = performance.now() + settleMs;
      while (reading.cursor.unsettled > 0 && group.members.size > 0 && performance.now() < untilMs)
        await new Promise((resolve) => setTimeout(resolve, 20));
      group.handOver(reading);
      group.readings.delete(place.key);
      this.#moved.delete(key);
      await this.#writePosition(group, reading, true);
    } finally {
      this.#changing.delete(key);
    }
    this.#arrange(group.name);
  }

  #writePosition(group: ShareGroup, reading: Reading, isFree: boolean): Promise<void> {
    const { log, tails } = this.#options;
    tails.settleCursor(reading);
    const position = reading.cursor.position();
    const value = positionValue({ reader: log.replica, isFree, position });
    return log.write(positionKey(group.name, reading.tail.place.key), value);
  }

  #tick(): void {
    const moved = [...this.#moved.values()];
    this.#moved.clear();
    for (const { group, reading } of moved)
      if (group.readings.get(reading.tail.place.key) === reading)
        this.#hold(this.#writePosition(group, reading, false));
    if (this.#waitingSinceMs.size > 0) this.#arrangeAll();
    this.#forgetEmpty();
  }

  /** Groups whose last member is gone for a while; who is first among the replicas does it for all. */
  #forgetEmpty(): void {
    const { log } = this.#options;
    const [first] = [...log.replicas()].toSorted();
    for (const name of this.#book.names()) {
      if (this.#book.memberCount(name) > 0) {
        this.#emptySinceMs.delete(name);
        continue;
      }
      const sinceMs = this.#emptySinceMs.get(name) ?? performance.now();
      this.#emptySinceMs.set(name, sinceMs);
      if (first !== log.replica || performance.now() - sinceMs < emptyMs) continue;
      this.#emptySinceMs.delete(name);
      for (const place of this.#book.places(name))
        this.#writeSoon(positionKey(name, place), undefined);
    }
  }

  /** Known here at once. */
  #write(key: string, value: unknown): Promise<void> {
    this.#book.note(key, value);
    return this.#options.log.write(key, value);
  }

  #writeSoon(key: string, value: unknown): void {
    this.#hold(this.#write(key, value));
  }
}

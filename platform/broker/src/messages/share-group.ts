import type { Delivery, Session, Subscription } from '@domicile/mqtt/owner.ts';
import { filterTakes } from '@domicile/mqtt/topic-filters.ts';
import { Cursor, type KeptPosition } from '../model/messages/cursor.ts';
import type { FeedMessage } from './feed.ts';
import type { PartitionTail } from './partition-tail.ts';
import type { Entry, Reading, Taker } from './reading.ts';

/** A connected member of a share group on this replica. */
export interface ShareMember {
  readonly key: string;
  readonly session: Pick<Session<unknown>, 'offer' | 'state' | 'withdraw'>;
  subscription: Subscription;
}

export interface ShareGroupHost {
  delivered(delivery: Delivery): void;
  /** Something was settled in the place: its position is to be kept. */
  moved(group: ShareGroup, reading: Reading): void;
  /** What a member left is to be given to another. */
  returned(reading: Reading, offsets: readonly number[]): void;
  /** A member turned out to have ended. */
  gone(group: ShareGroup, key: string): void;
  missed(
    key: string,
    missing: { readonly place: string; readonly from: number; readonly to: number },
  ): void;
}

/** Given to a member and not settled. */
interface Given {
  readonly reading: Reading;
  readonly offset: number;
  readonly token: string;
  /** `begun`: a QoS 2 message that is its member's alone now; `returned`: it is for another to deliver. */
  fate: 'given' | 'begun' | 'returned';
}

/** The members of a share group that are connected here, and the places that this replica reads for the group. */
export class ShareGroup implements Taker {
  readonly name: string;
  readonly readings = new Map<string, Reading>();
  readonly members = new Map<string, ShareMember>();
  readonly entry: Entry;
  readonly #host: ShareGroupHost;
  readonly #given = new Map<string, Set<Given>>();
  #turn = 0;

  constructor(name: string, subscription: Subscription, host: ShareGroupHost) {
    this.name = name;
    this.#host = host;
    this.entry = { taker: this, subscription, from: new Map(), retainedBefore: new Map() };
  }

  /** Begins to read a place; the caller lets it join its tail. */
  reading(tail: PartitionTail, position: KeptPosition): Reading {
    const cursor = new Cursor(position);
    const reading = { taker: this, tail, cursor, isLive: false, quietBefore: 0 };
    this.readings.set(tail.place.key, reading);
    return reading;
  }

  /** It gets nothing more; what it has it brings to its end. */
  leave(key: string): void {
    this.members.delete(key);
  }

  /** Its connection is gone: what it has not settled goes to others, but for QoS 2 messages that it may have. */
  lose(key: string): void {
    const member = this.members.get(key);
    if (!member) return;
    this.#leaveBegun(member, this.#open(key));
    this.members.delete(key);
    const back = this.#open(key);
    for (const given of back) {
      given.fate = 'returned';
      // What it was not sent yet it does not get when it comes back.
      if (member.session.withdraw(given.token)) this.#given.get(key)?.delete(given);
    }
    for (const [reading, group] of Map.groupBy(back, ({ reading: from }) => from))
      this.#host.returned(
        reading,
        group.map(({ offset }) => offset),
      );
  }

  /** The place goes to another replica: QoS 2 messages that members have begun to take stay theirs. */
  handOver(reading: Reading): void {
    for (const member of this.members.values())
      this.#leaveBegun(
        member,
        this.#open(member.key).filter((given) => given.reading === reading),
      );
  }

  entriesOf(topic: string): readonly Entry[] {
    return filterTakes(this.entry.subscription.filter, topic) ? [this.entry] : [];
  }

  take(reading: Reading, message: FeedMessage): 'taken' | 'full' | 'skipped' {
    if (message.expiresAtMs !== undefined && message.expiresAtMs <= Date.now()) return 'skipped';
    const members = [...this.members.values()];
    for (let tries = 0; tries < members.length; tries += 1) {
      this.#turn = (this.#turn + 1) % members.length;
      const member = members[this.#turn];
      if (member && this.#offer(member, reading, message)) return 'taken';
    }
    return 'full';
  }

  missed({ tail }: Reading, from: number, to: number): void {
    this.#host.missed(this.name, { place: tail.place.key, from, to });
  }

  #open(key: string): readonly Given[] {
    return [...(this.#given.get(key) ?? [])].filter(({ fate }) => fate === 'given');
  }

  /** MQTT 5, section 4.8.2: what a member may have with QoS 2 is for nobody else; its session keeps it. */
  #leaveBegun({ session }: ShareMember, open: readonly Given[]): void {
    if (open.length === 0) return;
    const exactlyOnce = session
      .state()
      .inFlight.filter((one) => one.stage === 'received' || one.qos !== 1);
    const begun = new Set(
      exactlyOnce.map((one) => (one.stage === 'sent' ? one.message.token : one.token)),
    );
    for (const given of open) {
      if (!begun.has(given.token)) continue;
      given.fate = 'begun';
      given.reading.cursor.settle(given.offset);
    }
  }

  #offer(member: ShareMember, reading: Reading, message: FeedMessage): boolean {
    const { offset, outbound } = message;
    const given: Given = { reading, offset, token: outbound.token ?? '', fate: 'given' };
    const settled = (delivery: Delivery) => this.#settled(member, given, delivery);
    if (!member.session.offer(outbound, [member.subscription], settled)) return false;
    reading.cursor.give(offset);
    const all = this.#given.get(member.key) ?? new Set();
    this.#given.set(member.key, all.add(given));
    return true;
  }

  #settled(member: ShareMember, given: Given, delivery: Delivery): void {
    this.#host.delivered(delivery);
    const all = this.#given.get(member.key);
    all?.delete(given);
    if (all?.size === 0) this.#given.delete(member.key);
    const { reading, offset, fate } = given;
    if (delivery === 'session-ended' || delivery === 'not-subscribed') {
      if (fate !== 'given') return;
      // Or it would be given this again, and settle it so again, without end.
      if (this.members.get(member.key)?.session === member.session) {
        this.members.delete(member.key);
        this.#host.gone(this, member.key);
      }
      this.#host.returned(reading, [offset]);
      return;
    }
    reading.cursor.settle(offset);
    this.#host.moved(this, reading);
  }
}

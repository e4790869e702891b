import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import type { OutboundMessage, Session, Subscription } from '@domicile/mqtt/owner.ts';
import type { FeedEvents } from './feed-events.ts';
import { type FeedKeeper, type FeedState, gapTopic, type MessageFeed } from './feed.ts';
import { LogTails } from './log-tails.ts';
import { messagesAt } from './messages-at.ts';
import type { Entry } from './reading.ts';
import type { RetainedSource } from './retained-source.ts';
import { isShared, ShareGroups } from './share-groups.ts';
import { Subscriber, type SubscriberHost } from './subscriber.ts';
import type { Place, TopicPolicy } from './topic-policy.ts';

export interface LogFeedOptions {
  readonly client: ClientOptions;
  readonly policy: TopicPolicy;
  readonly keeper: FeedKeeper;
  readonly events: FeedEvents;
  readonly fail: (error: unknown) => void;
  /** What is retained; a policy may leave it to others. */
  readonly retained?: RetainedSource;
}

/** Positions of those who take nothing move with the log, and are kept so often. */
const keepIdleEveryMs = 300_000;

/** The feed of a replica: its sessions as readers of the log. */
export class LogFeed<Identity> implements MessageFeed<Identity>, SubscriberHost {
  readonly #options: LogFeedOptions;
  readonly #tails: LogTails;
  readonly #subscribers = new Map<string, Subscriber<Identity>>();
  readonly #groups: ShareGroups;
  readonly #keepingIdle: NodeJS.Timeout;

  static async start<Identity>(options: LogFeedOptions): Promise<LogFeed<Identity>> {
    const { client, policy, fail, retained, events } = options;
    const tails = await LogTails.start({
      client,
      policy,
      fail,
      seen: (message) => retained?.seen(message),
      troubled: (error) => events.readBackFailed(error),
    });
    return new LogFeed(options, tails);
  }

  private constructor(options: LogFeedOptions, tails: LogTails) {
    this.#options = options;
    this.#tails = tails;
    const { policy, events, keeper } = options;
    this.#groups = new ShareGroups({ log: keeper.groups, tails, policy, events });
    this.#keepingIdle = setInterval(() => this.#keepIdle(), keepIdleEveryMs).unref();
  }

  /** Sessions with a connection that have left the tail. */
  get behind(): number {
    let count = 0;
    for (const { session, readings } of this.#subscribers.values())
      if (session && readings.values().some(({ isLive }) => !isLive)) count += 1;
    return count;
  }

  get subscriptions(): number {
    return this.#subscribers.values().reduce((sum, { entries }) => sum + entries.size, 0);
  }

  resume(key: string, state: FeedState, inFlight: ReadonlySet<string>): void {
    const before = this.#subscribers.get(key);
    if (before) this.#forget(before);
    this.#subscriber(key).resume(state, inFlight);
  }

  opened(session: Session<Identity>): void {
    const subscriber = this.#subscriber(session.key);
    subscriber.session = session;
    subscriber.of = session;
    const places = new Map<string, Place>();
    for (const subscription of session.subscriptions.values()) {
      if (isShared(subscription)) {
        this.#groups.connected(session, subscription);
        continue;
      }
      const known = subscriber.entries.get(subscription.name);
      if (!known) this.#enter(subscriber, subscription, subscriber.keptFrom(subscription.name));
      for (const place of this.#options.policy.placesOf(subscription.filter))
        places.set(place.key, place);
    }
    void this.#rejoin(subscriber, [...places.values()]);
  }

  async subscribe(session: Session<Identity>, asked: Subscription): Promise<void> {
    if (isShared(asked)) {
      const isCurrent = () => this.#subscribers.get(session.key)?.of === session;
      await this.#groups.join(session, asked, isCurrent);
      return;
    }
    const subscriber = this.#subscriber(session.key);
    const places = this.#options.policy.placesOf(asked.filter);
    await this.#tails.atEnd(places);
    if (this.#subscribers.get(session.key) !== subscriber) return;
    const tails = places.map((place) => this.#tails.tail(place));
    const from = new Map(tails.map(({ place, next }) => [place.key, next]));
    const known = subscriber.entries.get(asked.name);
    if (known) {
      // The filter is the same, so only its options are new.
      known.subscription = asked;
      known.retainedBefore = from;
      return;
    }
    this.#enter(subscriber, asked, from);
    for (const tail of tails) {
      const { reading, isNew } = subscriber.reading(tail);
      if (isNew && subscriber.session) this.#tails.join(reading);
    }
  }

  subscribed(session: Session<Identity>, subscription: Subscription, isNew: boolean): void {
    const { retainHandling, share } = subscription;
    if (share !== undefined || retainHandling === 2 || (retainHandling === 1 && !isNew)) return;
    const subscriber = this.#subscriber(session.key);
    this.#options.retained?.deliver(subscriber, subscription);
  }

  unsubscribed(session: Session<Identity>, subscription: Subscription): void {
    if (isShared(subscription)) {
      this.#groups.left(session, subscription);
      return;
    }
    const { name } = subscription;
    const subscriber = this.#subscribers.get(session.key);
    const entry = subscriber?.entries.get(name);
    if (!subscriber || !entry) return;
    this.#tails.remove(entry);
    subscriber.entries.delete(name);
    subscriber.retainedDue.delete(name);
    const used = new Set(
      subscriber.entries
        .values()
        .flatMap((one) => this.#options.policy.placesOf(one.subscription.filter))
        .map(({ key }) => key),
    );
    for (const [place, reading] of subscriber.readings) {
      if (used.has(place)) continue;
      this.#tails.leave(reading);
      subscriber.readings.delete(place);
    }
  }

  room(session: Session<Identity>): void {
    const subscriber = this.#subscribers.get(session.key);
    if (!subscriber) return;
    this.#options.retained?.goOn(subscriber);
    for (const reading of subscriber.readings.values()) if (!this.#tails.goOn(reading)) return;
  }

  closed(session: Session<Identity>): void {
    for (const subscription of session.subscriptions.values())
      if (isShared(subscription)) this.#groups.disconnected(session, subscription);
    const subscriber = this.#subscribers.get(session.key);
    if (subscriber?.of !== session) return;
    subscriber.session = undefined;
    for (const reading of subscriber.readings.values()) this.#tails.leave(reading);
    for (const entry of subscriber.entries.values()) this.#tails.remove(entry);
  }

  ended(session: Session<Identity>): void {
    const subscriber = this.#subscribers.get(session.key);
    // What has been resumed meanwhile goes on.
    const isCurrent = subscriber?.of === session;
    if (isCurrent) this.#forget(subscriber);
    for (const subscription of session.subscriptions.values()) {
      if (!isShared(subscription)) continue;
      if (isCurrent || !subscriber) this.#groups.left(session, subscription);
      else this.#groups.disconnected(session, subscription);
    }
  }

  forgotten(key: string, names: readonly string[]): void {
    for (const name of names) this.#groups.forgotten(key, name);
  }

  state(key: string): FeedState | undefined {
    const subscriber = this.#subscribers.get(key);
    if (!subscriber) return undefined;
    for (const reading of subscriber.readings.values()) this.#tails.settleCursor(reading);
    return subscriber.state();
  }

  messages(tokens: readonly string[]): Promise<ReadonlyMap<string, OutboundMessage>> {
    const { client, policy } = this.#options;
    return messagesAt({ client, policy, tokens });
  }

  moved(key: string): void {
    this.#options.keeper.moved(key);
    const subscriber = this.#subscribers.get(key);
    for (const reading of subscriber?.relieved() ?? []) this.#tails.goOn(reading);
  }

  delivered(delivery: Parameters<FeedEvents['delivered']>[1]): void {
    this.#options.events.delivered('message', delivery);
  }

  missed(key: string, missing: { place: string; from: number; to: number }): void {
    const { events } = this.#options;
    events.positionLost(key, missing);
    this.#options.keeper.moved(key);
    const session = this.#subscribers.get(key)?.session;
    if (session) void session.deliver(gapNotice(missing));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#keepingIdle);
    await this.#groups[Symbol.asyncDispose]();
    await this.#tails[Symbol.asyncDispose]();
  }

  #subscriber(key: string): Subscriber<Identity> {
    const known = this.#subscribers.get(key);
    if (known) return known;
    const subscriber = new Subscriber<Identity>(key, this);
    this.#subscribers.set(key, subscriber);
    return subscriber;
  }

  #enter(
    subscriber: Subscriber<Identity>,
    subscription: Subscription,
    from: Map<string, number>,
  ): void {
    const entry: Entry = { taker: subscriber, subscription, from, retainedBefore: from };
    subscriber.entries.set(subscription.name, entry);
    if (subscriber.session) this.#tails.add(entry);
  }

  /** Resumed: it goes on from where it was in each place. */
  async #rejoin(subscriber: Subscriber<Identity>, places: readonly Place[]): Promise<void> {
    for (const entry of subscriber.entries.values()) {
      this.#tails.remove(entry);
      this.#tails.add(entry);
    }
    const { session } = subscriber;
    try {
      await this.#tails.follow(places);
    } catch (error) {
      this.#options.events.readBackFailed(error);
      session?.disconnect(serverUnavailable);
      return;
    }
    if (!session || subscriber.session !== session) return;
    for (const place of places) {
      const { reading } = subscriber.reading(this.#tails.tail(place));
      reading.quietBefore = reading.tail.next;
    }
    subscriber.forgetKept();
    const { readings } = subscriber;
    const before = new Map([...readings].map(([place, { cursor }]) => [place, cursor.at]));
    for (const reading of readings.values()) this.#tails.join(reading);
    for (const name of subscriber.retainedDue) {
      const entry = subscriber.entries.get(name);
      if (entry) entry.retainedBefore = before;
      if (entry) this.#options.retained?.resume(subscriber, entry.subscription);
      else subscriber.retainedDue.delete(name);
    }
  }

  #forget(subscriber: Subscriber<Identity>): void {
    subscriber.session = undefined;
    for (const reading of subscriber.readings.values()) this.#tails.leave(reading);
    for (const entry of subscriber.entries.values()) this.#tails.remove(entry);
    this.#subscribers.delete(subscriber.key);
  }

  #keepIdle(): void {
    for (const { key, session } of this.#subscribers.values())
      if (session) this.#options.keeper.moved(key);
  }
}

const serverUnavailable = 0x88;

function gapNotice(missing: { place: string; from: number; to: number }): OutboundMessage {
  const payload = Buffer.from(JSON.stringify(missing));
  return { topic: gapTopic, payload, qos: 1 };
}

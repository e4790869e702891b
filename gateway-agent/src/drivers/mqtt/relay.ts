import { filterMatches } from '@domicile/core/topics.ts';
import type { InboundMessage, OutboundMessage, Subscription } from '@domicile/mqtt/owner.ts';
import { reason } from '@domicile/mqtt/reason-codes.ts';
import { isNoSpace } from '../../store/files.ts';
import type { DriverHost } from '../driver.ts';
import type { LanSession } from './lan-client.ts';
import type { Retained } from './retained.ts';

/** What it needs of who listens. */
type Listener = Pick<LanSession, 'offer' | 'deliver' | 'connected' | 'wants' | 'subscriptions'>;

/** Carries messages that are not the platform's from device to device, as any broker does. */
export class Relay {
  readonly #retained: Retained;
  readonly #host: DriverHost;
  readonly #listeners = new Set<Listener>();

  constructor(retained: Retained, host: DriverHost) {
    this.#retained = retained;
    this.#host = host;
  }

  /** After the SUBACK: what is retained goes out, one after the other. */
  subscribed(session: Listener, subscription: Subscription, isNew: boolean): void {
    this.#listeners.add(session);
    const { retainHandling } = subscription;
    if (retainHandling === 2 || (retainHandling === 1 && !isNew)) return;
    void this.#sendRetained(session, subscription);
  }

  async #sendRetained(session: Listener, subscription: Subscription): Promise<void> {
    for (const message of this.#retained.matching(subscription.filter)) {
      // A newer one comes by the subscription, and must be the subscriber's last word.
      if (!this.#retained.isNewest(message)) continue;
      const { promise, resolve } = Promise.withResolvers<void>();
      if (!session.offer(message, [subscription], () => resolve()))
        this.#host.events.readingRefused('mqtt', 'queue-full');
      else await promise;
      if (!session.connected) return;
    }
  }

  ended(session: Listener): void {
    this.#listeners.delete(session);
  }

  /** Retains it if it asks for that, and gives it to who subscribes. The reason code for its ack. */
  async take(from: Listener, message: InboundMessage): Promise<number | undefined> {
    if (message.retain) {
      const code = await this.#retain(message);
      if (code !== undefined) return code;
    }
    const { topic, payload, qos, retain, properties, expirySeconds } = message;
    const expiresAtMs =
      expirySeconds === undefined ? undefined : this.#host.now() + expirySeconds * 1000;
    for (const session of this.#listeners) {
      if (!session.wants(topic) || (session === from && wantsNoOwn(session, topic))) continue;
      const expiry = expiresAtMs === undefined ? {} : { expiresAtMs };
      void this.#deliver(session, { topic, payload, qos, retain, properties, ...expiry });
    }
    return undefined;
  }

  async #deliver(session: Listener, message: OutboundMessage): Promise<void> {
    const became = await session.deliver(message);
    if (became === 'queue-full') this.#host.events.readingRefused('mqtt', became);
  }

  async #retain(message: InboundMessage): Promise<number | undefined> {
    try {
      if (!(await this.#retained.set(message)))
        this.#host.events.readingRefused('mqtt', 'retained-full');
      return undefined;
    } catch (error) {
      if (!isNoSpace(error)) throw error;
      return reason.quotaExceeded;
    }
  }
}

function wantsNoOwn(session: Listener, topic: string): boolean {
  return session.subscriptions
    .values()
    .some(({ noLocal, filter }) => noLocal && filterMatches(filter, topic));
}

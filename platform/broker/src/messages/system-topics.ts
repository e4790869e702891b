import type { Session, Subscription } from '@domicile/mqtt/owner.ts';
import { filterTakes } from '@domicile/mqtt/topic-filters.ts';

/** Values of this replica under `$SYS/broker/`. Other replicas have their own. */
export type SystemValues = Readonly<Record<string, () => string>>;

type Taker = Pick<Session<unknown>, 'offer' | 'subscriptions'>;

const prefix = '$SYS/';

/** Tells what a replica knows of itself, as retained messages that nobody publishes. */
export class SystemTopics implements Disposable {
  readonly #values: SystemValues;
  readonly #takers = new Set<Taker>();
  readonly #told = new Map<string, string>();
  readonly #telling: NodeJS.Timeout;

  constructor(values: SystemValues, everyMs: number) {
    this.#values = values;
    this.#telling = setInterval(() => this.#tell(), everyMs).unref();
  }

  /** What stands under a new subscription. */
  deliver(session: Taker, subscription: Subscription): void {
    if (!subscription.filter.startsWith(prefix)) return;
    this.#takers.add(session);
    for (const [name, value] of Object.entries(this.#values)) {
      const topic = `${prefix}broker/${name}`;
      if (!filterTakes(subscription.filter, topic)) continue;
      const message = { topic, payload: Buffer.from(value()), qos: 0, fromRetained: true } as const;
      session.offer(message, [subscription], ignored);
    }
  }

  forget(session: Taker): void {
    this.#takers.delete(session);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#telling);
  }

  #tell(): void {
    if (this.#takers.size === 0) return;
    for (const [name, value] of Object.entries(this.#values)) {
      const topic = `${prefix}broker/${name}`;
      const text = value();
      if (this.#told.get(topic) === text) continue;
      this.#told.set(topic, text);
      for (const session of this.#takers) tell(session, topic, text);
    }
  }
}

function tell(session: Taker, topic: string, text: string): void {
  const matching = [...session.subscriptions.values()].filter(({ filter }) =>
    filterTakes(filter, topic),
  );
  if (matching.length > 0)
    session.offer({ topic, payload: Buffer.from(text), qos: 0 }, matching, ignored);
}

const ignored = (): void => undefined;

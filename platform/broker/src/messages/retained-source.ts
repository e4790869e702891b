import type { Session, Subscription } from '@domicile/mqtt/owner.ts';
import type { FeedMessage } from './feed.ts';
import type { Entry } from './reading.ts';

/** Who gets retained messages. */
export interface RetainedTaker {
  readonly key: string;
  readonly session: Pick<Session<unknown>, 'offer'> | undefined;
  readonly entries: ReadonlyMap<string, Entry>;
  /** Names of subscriptions whose retained messages are not all delivered. */
  readonly retainedDue: Set<string>;
}

/** Knows what is retained, and delivers it to new subscriptions. */
export interface RetainedSource {
  /** A message as it comes from the log, before anybody gets it. */
  seen(message: FeedMessage): void;
  /** What is retained under the subscription, as far as the subscription does not get it anyway. */
  deliver(taker: RetainedTaker, subscription: Subscription): void;
  /** As `deliver`, for a subscription that was cut off in it; what is under way here goes on. */
  resume(taker: RetainedTaker, subscription: Subscription): void;
  /** The taker has room again. */
  goOn(taker: RetainedTaker): void;
}

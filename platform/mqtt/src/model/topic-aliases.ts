import { reason } from '../reason-codes.ts';

/** What a connection's client calls its topics (MQTT 5, section 3.3.2.3.4). */
export class TopicAliases {
  readonly #max: number;
  #topics = new Map<number, string>();

  constructor(max: number) {
    this.#max = max;
  }

  /** The full topic, or the reason code to disconnect with. */
  resolve(topic: string, alias: number | undefined): string | number {
    if (alias === undefined) return topic === '' ? reason.protocolError : topic;
    if (alias < 1 || alias > this.#max) return reason.topicAliasInvalid;
    if (topic === '') return this.#topics.get(alias) ?? reason.protocolError;
    this.#topics.set(alias, topic);
    return topic;
  }
}

import { PlatformError } from '@domicile/core/errors.ts';
import { streamNames, topicOf } from '@domicile/core/streams.ts';
import type { KafkaAccess, KafkaDiff, KafkaRefusal, KafkaWish } from '@domicile/kafka/cell-diff.ts';
import type { BrokerPlace } from '../../model/residency-guard.ts';
import type { KafkaPort } from './ports.ts';

/** A Kafka that is only remembered, so that its brokers can stand anywhere and fall away. */
export class RememberedKafka {
  brokers: BrokerPlace[] = [1, 2, 3].map((id) => ({
    id,
    host: `kafka-${id}`,
    rack: id === 3 ? 'europe-west10' : 'europe-west3',
  }));
  readonly topics = new Map<string, Record<string, string>>();
  readonly passwords = new Map<string, string>();
  refusals: KafkaRefusal[] = [];
  isDown = false;
  /** By which its administrator comes in. */
  adminPassword = 'admin-secret';
  /** Times that it was looked at, and changes that were made. */
  looks = 0;
  readonly acts: string[] = [];

  open({ password }: Pick<KafkaAccess, 'password'>): KafkaPort {
    return {
      brokers: async () => {
        this.looks += 1;
        this.#answer(password);
        return this.brokers;
      },
      diff: async (wish) => {
        this.#answer(password);
        return this.#diff(wish);
      },
      [Symbol.asyncDispose]: async () => {},
    };
  }

  #answer(password = this.adminPassword): void {
    if (password !== this.adminPassword)
      throw new PlatformError(
        'UNAUTHENTICATED',
        'Cannot look at the brokers: Kafka refuses the user or its password',
      );
    if (this.isDown)
      throw new PlatformError('UPSTREAM_UNAVAILABLE', 'Cannot look at the brokers: no answer');
  }

  #diff({ country, users }: KafkaWish): KafkaDiff {
    const names = streamNames.map((stream) => topicOf(country, stream));
    const missing = names.filter((name) => !this.topics.has(name));
    const drifted = names.filter((name) => (this.topics.get(name)?.['drift'] ?? '') !== '');
    const told = users.filter(({ principal, renew }) => renew || !this.passwords.has(principal));
    return {
      changes: [
        ...missing.map((target) => ({
          kind: 'topic' as const,
          target,
          detail: 'is missing',
          act: async () => this.#act(`topic ${target}`, () => this.topics.set(target, {})),
        })),
        ...drifted.map((target) => ({
          kind: 'topic-configs' as const,
          target,
          detail: 'drifted',
          act: async () => this.#act(`topic-configs ${target}`, () => this.topics.set(target, {})),
        })),
        ...told.map(({ principal, password }) => ({
          kind: 'user' as const,
          target: principal,
          detail: 'is missing',
          act: async () =>
            this.#act(`user ${principal}`, () => this.passwords.set(principal, password)),
        })),
      ],
      refusals: this.refusals,
      strangers: [],
      held: [...this.topics.keys()].map((topic) => ({ topic, partition: 0, brokers: [1, 2, 3] })),
    };
  }

  #act(name: string, change: () => void): void {
    this.#answer();
    this.acts.push(name);
    change();
  }
}

import { createHash } from 'node:crypto';
import type { KafkaUser } from '@domicile/kafka/cell-diff.ts';
import type { KeyPair } from '@domicile/runtime/certificates.ts';
import type { LakeIdentity } from '../../model/cell/access.ts';
import type { CellPlan } from '../../model/cell/plan.ts';
import { acceptAuthority, type LakeIdentities } from '../../model/cell/store.ts';
import type { OperatorPorts } from '../../runtime/ports.ts';
import type { CellLook } from './cell-desk.ts';
import type { CellEvents } from './cell-events.ts';
import {
  keepKafkaUsers,
  keepLakeIdentities,
  lakeAdminRef,
  lakeKeys,
  rememberKafkaUser,
  type Where,
} from './cell-secrets.ts';
import { fingerprintOf } from './certificates.ts';
import { type KafkaStep, kafkaStep } from './kafka-step.ts';
import type { CellEnds, CellSettings } from './ports.ts';
import { digestOf, type SecretData } from './secret-keeper.ts';
import { failed, type Step } from './step.ts';
import { type StoreStep, storeStep, type StoreWork } from './store-step.ts';

export interface Outside {
  readonly kafka: KafkaStep;
  readonly store: StoreStep;
  /** Kafka speaks TLS. */
  readonly hasKafkaCa: boolean;
}

interface Parts {
  readonly ports: OperatorPorts;
  readonly settings: CellSettings;
  readonly ends: CellEnds;
  readonly events: CellEvents;
}

interface KafkaInputs {
  readonly admin: SecretData;
  readonly ca: string | undefined;
  readonly users: readonly KafkaUser[];
}

interface StoreInputs {
  readonly admin: SecretData;
  readonly identities: ReadonlyMap<LakeIdentity, SecretData>;
  readonly names: LakeIdentities;
}

/** Credentials that are not there. */
interface Failure {
  readonly failure: Step;
}

interface Remembered {
  readonly key: string;
  readonly atMs: number;
  readonly outside: Outside;
}

/** What is not as it should be is looked at again after this at the earliest. */
const troubledMs = 2_000;

/** Kafka and the store. Pods and nodes change often; these are asked again only after a while, or when something is to be done. */
export class OutsidePart {
  readonly #parts: Parts;
  #last: Remembered | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async look(
    look: CellLook,
    of: { where: Where; plan: CellPlan; authority: KeyPair },
  ): Promise<Outside> {
    const authority = {
      fingerprint: fingerprintOf(of.authority),
      accepted: look.cell.metadata.annotations?.[acceptAuthority],
    };
    const kafka = await this.#kafkaInputs(of.where);
    const store = await this.#storeInputs(of.where);
    const key = keyOf(of.plan, [kafka, store, authority]);
    const last = this.#last;
    if (last?.key === key && this.#isFresh(last)) return last.outside;
    const told = new Set<string>();
    const outside = {
      kafka: await this.#kafka(look, { where: of.where, told }, kafka),
      store: await this.#store(look, { plan: of.plan, authority }, store),
      hasKafkaCa: 'ca' in kafka && kafka.ca !== undefined,
    };
    // Of what it was looked at with, not of what is there by now: that is looked at next.
    const done = keyOf(of.plan, [onceTold(kafka, told), store, authority]);
    this.#last = { key: done, atMs: this.#parts.ports.now(), outside };
    return outside;
  }

  #isFresh({ atMs, outside }: Remembered): boolean {
    const { kafka, store } = outside;
    const isFine = [kafka, store].every(
      ({ condition, isProved }) => condition.status === 'True' && isProved,
    );
    const { ports, settings } = this.#parts;
    return ports.now() - atMs < (isFine ? settings.cellResyncMs : troubledMs);
  }

  async #kafkaInputs(where: Where): Promise<KafkaInputs | Failure> {
    const { adminSecret } = where.spec.kafka;
    const ref = { name: adminSecret, namespace: where.operatorNamespace };
    try {
      const admin = await where.keeper.demand(ref, ['username', 'password']);
      const ca = admin['ca.crt'];
      return { admin, ca, users: await keepKafkaUsers(where, ca) };
    } catch (error) {
      return { failure: failed('KafkaReady', 'Kafka', error) };
    }
  }

  async #storeInputs(where: Where): Promise<StoreInputs | Failure> {
    try {
      const admin = await where.keeper.demand(lakeAdminRef(where), lakeKeys[where.spec.lake.store]);
      const identities = await keepLakeIdentities(where);
      const names = identitiesOf(where.spec.lake.store, identities, this.#parts.ends);
      return { admin, identities, names };
    } catch (error) {
      return { failure: failed('StoreReady', 'Store', error) };
    }
  }

  async #kafka(
    { cell, spec }: CellLook,
    { where, told }: { where: Where; told: Set<string> },
    inputs: KafkaInputs | Failure,
  ): Promise<KafkaStep> {
    if ('failure' in inputs) return { ...inputs.failure, brokers: [] };
    const { admin, ca, users } = inputs;
    const { ends, ports, events } = this.#parts;
    return kafkaStep({
      spec,
      home: { country: spec.country, regions: spec.regions },
      users,
      access: {
        bootstrap: spec.kafka.bootstrap,
        username: (admin['username'] ?? '').trim(),
        password: (admin['password'] ?? '').trim(),
        ca,
      },
      open: ends.openKafka,
      mayAct: (doing) => ports.leadership.assert(doing),
      acted: ({ kind, target, detail }) => events.changed(cell, `${kind} ${target}`, detail),
      told: async (user: KafkaUser) => {
        if (await rememberKafkaUser(where, user, ca)) told.add(user.principal);
      },
    });
  }

  async #store(
    { cell, spec }: CellLook,
    { plan, authority }: Pick<StoreWork, 'plan' | 'authority'>,
    inputs: StoreInputs | Failure,
  ): Promise<StoreStep> {
    if ('failure' in inputs) return { ...inputs.failure, buckets: [] };
    const { admin, names } = inputs;
    const { ends, ports, events } = this.#parts;
    const { store, endpoint, region } = spec.lake;
    return storeStep({
      plan,
      home: { country: spec.country, regions: spec.regions },
      identities: names,
      authority,
      open: async () =>
        ends.openStore({
          store,
          region,
          secret: admin,
          ...(endpoint !== undefined && { endpoint }),
        }),
      mayAct: (doing) => ports.leadership.assert(doing),
      acted: (bucket, detail) => events.changed(cell, `bucket ${bucket}`, detail),
    });
  }
}

/** Passwords that Kafka has been told by now are no reason to ask it again. */
function onceTold(inputs: KafkaInputs | Failure, told: ReadonlySet<string>): KafkaInputs | Failure {
  if ('failure' in inputs) return inputs;
  const users = inputs.users.map((user) =>
    told.has(user.principal) ? { ...user, renew: false } : user,
  );
  return { ...inputs, users };
}

function identitiesOf(
  store: 'gcs' | 's3',
  identities: ReadonlyMap<LakeIdentity, SecretData>,
  { identityOf }: CellEnds,
): LakeIdentities {
  const of = (identity: LakeIdentity) => identityOf(store, identities.get(identity) ?? {});
  return {
    writer: of('writer'),
    'serving-reader': of('serving-reader'),
    'raw-reader': of('raw-reader'),
    eraser: of('eraser'),
  };
}

/** Tells one set of inputs from another, and nothing of the secrets among them. */
function keyOf({ spec, pack }: CellPlan, inputs: readonly object[]): string {
  const text = JSON.stringify([spec, pack, inputs], (_key, value: unknown) =>
    value instanceof Map
      ? [...value].map(([name, data]: [string, SecretData]) => [name, digestOf(data)])
      : value,
  );
  return createHash('sha256').update(text).digest('hex');
}

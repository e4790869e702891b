import type { BuildingRecord } from '@domicile/core/building.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { recordOfSpec } from '@domicile/core/values.ts';
import type { BuildingFindings, Finding } from '../../model/building/building-conditions.ts';
import {
  buildingFinalizer,
  type BuildingResource,
  buildingResourceOf,
  countryTold,
} from '../../model/building/building-resource.ts';
import { type Claim, isOlder } from '../../model/building/claim.ts';
import { devicesIn, devicesTold } from '../../model/building/devices-told.ts';
import { gatewayKeys, refusalTold } from '../../model/building/gateway-credentials.ts';
import { buildingKind } from '../../model/kinds.ts';
import { buildingBreaches } from '../../model/residency-guard.ts';
import type { KubeObject } from '../../runtime/kube.ts';
import type { Outcome } from '../../runtime/reconciler.ts';
import { type CellInForce, cellInForce } from './cell-of.ts';
import type { GatewayCredentials } from './gateway-secrets.ts';
import { noCell, noCellMs } from './no-cell.ts';
import { type BuildingParts, isOvertaken } from './parts.ts';
import type { Published } from './registry-desk.ts';

type Found = { -readonly [Name in keyof BuildingFindings]?: BuildingFindings[Name] };

/** One look at one building that is to be served. */
export class Onboarding {
  readonly #parts: BuildingParts;
  readonly #found: Found = {};
  #seen: KubeObject;
  #building: BuildingResource;
  readonly #fields: Record<string, unknown> = {};
  #asked: 'registered' | 'credentials' | 'enrolled' = 'registered';

  constructor(parts: BuildingParts, object: KubeObject) {
    this.#parts = parts;
    this.#seen = object;
    this.#building = buildingResourceOf(object);
  }

  async run(): Promise<Outcome> {
    const { country, cache } = this.#parts.ports;
    const cell = cellInForce(cache, country);
    if (!cell) {
      this.#found.residency = noCell(country);
      await this.#tell();
      return { kind: 'again', afterMs: noCellMs };
    }
    this.#fields['cell'] = cell.spec.country;
    const record = this.#record(cell);
    if (!record) return this.#refuse();
    // How many are seen is another loop's to say; what it said last stays.
    this.#fields['devices'] = devicesTold(record.devices.length, devicesIn(this.#seen)?.seen);
    const rival = this.#rival();
    if (rival) {
      // What is seen there is the other one's.
      this.#fields['devices'] = devicesTold(record.devices.length, undefined);
      this.#found.registered = claimedBy(rival);
      return this.#refuse();
    }
    try {
      return await this.#onboard(cell, record);
    } catch (error) {
      if (isOvertaken(error)) throw error;
      this.#blame(error);
      await this.#tell();
      return { kind: 'failed', error };
    }
  }

  /** Undefined if it may not be, which is then found. */
  #record({ object, spec }: CellInForce): BuildingRecord | undefined {
    const { name } = this.#building;
    const told = countryTold(this.#building.spec) ?? spec.country;
    const [abroad] = buildingBreaches(spec, { id: name, country: told });
    if (abroad) {
      this.#found.residency = {
        status: 'False',
        reason: abroad.reason,
        message: abroad.evidence,
      };
      return undefined;
    }
    try {
      const record = recordOfSpec(name, this.#building.spec, spec.country);
      const breach = breachOf(object);
      this.#found.residency = breach ?? {
        status: 'True',
        reason: 'InCountry',
        message: `It is in ${spec.country}, and so is all of its cell`,
      };
      return breach ? undefined : record;
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
      const { message } = error;
      if (error.code === 'RESIDENCY_VIOLATION')
        this.#found.residency = { status: 'False', reason: 'BuildingAbroad', message };
      else {
        this.#found.residency = { status: 'Unknown', reason: 'SpecInvalid', message };
        this.#found.registered = { status: 'False', reason: 'SpecInvalid', message };
      }
      return undefined;
    }
  }

  /** The oldest of the resources that name this building, if it is another one. */
  #rival(): BuildingResource | undefined {
    const mine = this.#building.claim;
    return this.#parts.ports.cache
      .list(buildingKind)
      .filter(({ metadata }) => metadata.name === this.#building.name)
      .map(buildingResourceOf)
      .filter(({ claim }) => claim.uid !== mine.uid && isOlder(claim, mine))
      .toSorted((a, b) => (isOlder(a.claim, b.claim) ? -1 : 1))[0];
  }

  async #onboard(cell: CellInForce, record: BuildingRecord): Promise<Outcome> {
    const { registries, secrets } = this.#parts;
    this.#asked = 'registered';
    const registry = await registries.of(cell);
    const { name, claim } = this.#building;
    const present = registry.entry(name);
    if (present && present.client !== record.client) {
      this.#found.registered = clientDiffers(present.client);
      return this.#refuse();
    }
    await this.#keepUntilOffboarded();
    this.#asked = 'credentials';
    const authority = await this.#parts.authority(cell);
    const inForce = {
      passwordHash: present?.passwordHash ?? null,
      tokenSha256: this.#parts.enrolledToken(cell, name),
    };
    const credentials = await secrets.ensure({ building: this.#building, authority, inForce });
    this.#tellReplaced(credentials);
    this.#asked = 'registered';
    // Whoever claims it is gone, or younger than this one.
    const over: { over?: Claim } = present?.claim ? { over: present.claim } : {};
    const { passwordHash } = credentials;
    const published = await registry.publish({
      building: name,
      claim,
      record: { ...record, passwordHash },
      ...over,
    });
    const refusal = await this.#take(published);
    if (refusal) return refusal;
    this.#asked = 'enrolled';
    await this.#enrol(cell, credentials);
    if (authority === undefined) this.#found.enrolled = waitsForAuthority;
    await this.#tell();
    return authority === undefined ? { kind: 'again', afterMs: authorityPollMs } : { kind: 'done' };
  }

  /** Before anything of it is anywhere. */
  async #keepUntilOffboarded(): Promise<void> {
    const { finalizers, name, namespace, resourceVersion } = this.#building;
    if (finalizers.includes(buildingFinalizer)) return;
    this.#seen = await this.#parts.ports.kube.patch(
      buildingKind,
      { name, namespace },
      { metadata: { resourceVersion, finalizers: [...finalizers, buildingFinalizer] } },
    );
    this.#building = buildingResourceOf(this.#seen);
  }

  async #take(published: Published): Promise<Outcome | undefined> {
    if (published.kind === 'client-differs') {
      this.#found.registered = clientDiffers(published.client);
      return this.#refuse();
    }
    // Looked at too early: what is newer is on its way here.
    if (published.kind === 'contested' || published.kind === 'stale')
      return { kind: 'again', afterMs: overtakenMs };
    this.#found.registered = {
      status: 'True',
      reason: 'InRegistry',
      message: `Broker, workers and APIs know it, by the record ${published.at} of the registry`,
    };
    return undefined;
  }

  async #enrol(cell: CellInForce, credentials: GatewayCredentials): Promise<void> {
    const { name, claim } = this.#building;
    const { tokenSha256, secret, refused } = credentials;
    await this.#parts
      .enrolments(cell)
      .put({ building: name, claim, entry: { state: 'active', tokenSha256 } });
    this.#fields['credentials'] = { secret };
    this.#found.enrolled =
      refused.length > 0 ? this.#credentialsRefused(credentials) : credentialsIssued(secret);
  }

  #credentialsRefused({ secret, refused }: GatewayCredentials): Finding {
    const message = refusalTold(secret, refused);
    const reason = 'CredentialsRefused';
    this.#parts.ports.events.record(this.#seen, {
      type: 'Warning',
      reason,
      action: 'TakeCredentials',
      note: message,
    });
    return { status: 'False', reason, message };
  }

  #tellReplaced({ secret, replaced }: GatewayCredentials): void {
    if (replaced.length === 0) return;
    const keys = replaced.map((one) => gatewayKeys[one]).join(' and ');
    this.#parts.ports.events.record(this.#seen, {
      type: 'Normal',
      reason: 'CredentialsReplaced',
      action: 'MakeCredentials',
      note: `The Secret ${secret} had no ${keys} any more, so another was made: its gateway needs it if it comes in by it`,
    });
  }

  /** A failure is told under the concern that was looked after. */
  #blame(error: unknown): void {
    const isOurs = error instanceof PlatformError;
    const message = isOurs ? error.message : 'Something unexpected failed; see the log';
    const code = isOurs ? error.code : undefined;
    if (this.#asked === 'registered')
      this.#found.registered = {
        status: 'Unknown',
        reason: 'KafkaUnavailable',
        message: `${message}. It is tried again by itself; see that the brokers of Kafka run, and the conditions of the Cell`,
      };
    else if (this.#asked === 'credentials' && code === 'FORBIDDEN')
      this.#found.enrolled = notAllowedIn(this.#building.namespace);
    else if (code === 'OBJECT_EXISTS')
      this.#found.enrolled = { status: 'False', reason: 'SecretTaken', message };
    else this.#found.enrolled = { status: 'Unknown', reason: 'CannotIssue', message };
  }

  async #refuse(): Promise<Outcome> {
    await this.#tell();
    const { residency, registered } = this.#found;
    const isAbroad = residency?.status === 'False';
    const why = isAbroad ? residency : registered;
    if (why?.status === 'False')
      this.#parts.ports.events.record(this.#seen, {
        type: 'Warning',
        reason: why.reason,
        action: isAbroad ? 'VerifyResidency' : 'Register',
        note: why.message,
      });
    return { kind: 'refused', reason: why?.reason ?? 'Refused' };
  }

  async #tell(): Promise<void> {
    await this.#parts.writeStatus(this.#seen, this.#found, this.#fields);
  }
}

const overtakenMs = 500;
const authorityPollMs = 2000;

const waitsForAuthority: Finding = {
  status: 'False',
  reason: 'WaitsForTheCell',
  message:
    'The cell has no authority yet, by which its gateway knows the cell: see the conditions of the Cell',
};

function credentialsIssued(secret: string): Finding {
  return {
    status: 'True',
    reason: 'CredentialsIssued',
    message: `Its gateway enrols by the token in the Secret ${secret}`,
  };
}

function claimedBy({ namespace, deletedAtMs }: BuildingResource): Finding {
  return {
    status: 'False',
    reason: 'ClaimedElsewhere',
    message:
      deletedAtMs === undefined
        ? `An older resource in the namespace ${namespace} declares this building: delete one of the two`
        : `An older resource in the namespace ${namespace} is being taken out: this one is served after it`,
  };
}

function notAllowedIn(namespace: string): Finding {
  return {
    status: 'False',
    reason: 'NamespaceNotAllowed',
    message: `The operator may not keep Secrets in ${namespace}: add it to buildingNamespaces of the chart domicile-operator`,
  };
}

function clientDiffers(client: string): Finding {
  return {
    status: 'False',
    reason: 'ClientDiffers',
    message: `The building belongs to ${client}, and a sale is a new building: declare it by a new id`,
  };
}

/** A cell that is not all in its country takes no more buildings. */
function breachOf({ status }: KubeObject): Finding | undefined {
  const conditions =
    status !== null && typeof status === 'object' && 'conditions' in status
      ? status.conditions
      : undefined;
  if (!Array.isArray(conditions)) return undefined;
  const isBreached = conditions.some(
    (one: unknown) =>
      one !== null &&
      typeof one === 'object' &&
      'type' in one &&
      one.type === 'ResidencyVerified' &&
      'status' in one &&
      one.status === 'False',
  );
  return isBreached
    ? {
        status: 'False',
        reason: 'CellNotInCountry',
        message: 'Not all of the cell is in its country: see the conditions of the Cell',
      }
    : undefined;
}

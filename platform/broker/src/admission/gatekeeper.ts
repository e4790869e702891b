import type { BuildingQuotas } from '@domicile/core/building.ts';
import type { BuildingId } from '@domicile/core/identities.ts';
import { devicesPerBuildingMax } from '@domicile/core/values.ts';
import type { Admission, ConnectRequest, Subscription } from '@domicile/mqtt/owner.ts';
import { reason } from '@domicile/mqtt/reason-codes.ts';
import type { AdmissionCause, BrokerEvents, CredentialEnd } from '../events.ts';
import { BackOff } from '../model/back-off.ts';
import { Rate, type RateMax } from '../model/rate.ts';
import type { RegisteredBuilding } from '../model/registry-view.ts';
import { TokenBucket } from '../model/token-bucket.ts';
import type { BrokerSession, CertificateName, ClientIdentity, Peer } from './identity.ts';

export interface GatekeeperLimits {
  readonly connectionsMax: number;
  readonly buildingConnectionsMax: number;
  /** Clients let in; a burst of four seconds passes. */
  readonly buildingConnectsPerSecondMax: number;
  /** Sessions of a building here, connected or not. */
  readonly buildingSessionsMax: number;
  /** Subscriptions of all sessions of a building here. */
  readonly buildingSubscriptionsMax: number;
  readonly buildingRate: RateMax;
  /** Of a building, on their way to Kafka: what others' messages may have to wait behind. */
  readonly buildingInFlightMax: number;
  readonly buildingInFlightBytesMax: number;
  readonly deviceRate: RateMax;
}

export interface GatekeeperOptions {
  readonly limits: GatekeeperLimits;
  readonly events: GatekeeperEvents;
  /** Who a client is. */
  readonly authenticate: (
    request: ConnectRequest,
    peer: Peer,
  ) => Promise<Admission<ClientIdentity>>;
  /** The building as it is declared now; `undefined` if its clients may not be here. */
  readonly active: (building: string) => RegisteredBuilding | undefined;
  readonly isRevoked: (certificate: CertificateName) => boolean;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
}

export type GatekeeperEvents = Pick<
  BrokerEvents,
  'admissionRefused' | 'credentialEnded' | 'subscriptionRefused' | 'held' | 'messageReceived'
>;

/** What is counted of one building. */
interface Ward {
  readonly sessions: Map<string, BrokerSession>;
  /** By which its rate was made. */
  quotas: BuildingQuotas;
  rate: Rate;
  readonly connects: TokenBucket;
  readonly devices: Map<string, Rate>;
  inFlight: number;
  inFlightBytes: number;
}

/**
 * Until a building that waits for Kafka is asked again. Each of its connections then takes one message more, so the further
 * it is over its bound the longer: many connections with large messages would get far over it otherwise.
 */
const fullHoldMs = 20;
const fullHoldMsMax = 1000;

/** All clients of a building may come back at once. */
const connectBurstSeconds = 4;

/** MQTT 5, section 2.4: "connection rate exceeded". MQTT 3.1.1 says "server unavailable". */
const connectionRateExceeded = 0x9f;

/** Who fails with one building's name from one address: a gateway whose password is old, or who guesses it. */
const nameBackOff = {
  failuresFree: 10,
  firstMs: 1000,
  maxMs: 60_000,
  forgetMs: 600_000,
  keysMax: 20_000,
};
/** Who fails with any name from one address; buildings may share one, so much is borne. */
const addressBackOff = { ...nameBackOff, failuresFree: 200 };

/**
 * Lets clients in and keeps them within their limits. It refuses with a reason code, counts by cause, and what it does
 * to one harms no other: limits hold for a building, a device, or an address with a name.
 */
export class Gatekeeper {
  readonly #options: GatekeeperOptions;
  readonly #clock: () => number;
  readonly #wards = new Map<string, Ward>();
  readonly #names = new BackOff(nameBackOff);
  readonly #addresses = new BackOff(addressBackOff);
  readonly #connected = new Set<BrokerSession>();
  readonly #since = new WeakMap<BrokerSession, number>();
  /** Until when a session is not read from for the sake of one of its devices, in milliseconds of `performance`. */
  readonly #deviceHolds = new WeakMap<BrokerSession, number>();

  constructor(options: GatekeeperOptions) {
    this.#options = options;
    this.#clock = options.clock ?? Date.now;
  }

  /** Of all sessions here. */
  get subscriptions(): number {
    let subscriptions = 0;
    for (const { sessions } of this.#wards.values()) subscriptions += subscriptionsOf(sessions);
    return subscriptions;
  }

  /** All sessions here, connected or not. */
  *sessions(): Generator<BrokerSession> {
    for (const { sessions } of this.#wards.values()) yield* sessions.values();
  }

  /** When its client connected last or was lost, milliseconds since 1970. */
  sinceMs(session: BrokerSession): number | undefined {
    return this.#since.get(session);
  }

  async authenticate(request: ConnectRequest, peer: Peer): Promise<Admission<ClientIdentity>> {
    const fault = this.#certificateFault(peer);
    if (fault) return this.#refuse(fault, reason.notAuthorized);
    const name = this.#nameOf(request, peer);
    if (this.#waitMs(peer, name) > 0) return this.#refuse('back-off', connectionRateExceeded);
    const admission = await this.#options.authenticate(request, peer);
    if (!admission.admitted) {
      const cause = causes[admission.reasonCode] ?? 'other';
      if (cause === 'password-wrong' || cause === 'not-authorized') {
        const nowMs = performance.now();
        if (name !== undefined) this.#names.failed(name, nowMs);
        this.#addresses.failed(peer.address, nowMs);
      }
      return this.#refuse(cause, admission.reasonCode);
    }
    if (name !== undefined) this.#names.succeeded(name);
    const { key, identity } = admission;
    if (this.#connected.size >= this.#options.limits.connectionsMax) {
      return this.#refuse('connections', reason.serverBusy);
    }
    const over = this.#overLimit(key, identity.building);
    if (over) return this.#refuse(over, reason.quotaExceeded);
    if (!this.#ward(identity.building).connects.takeIfThere(performance.now())) {
      return this.#refuse('building-connects', connectionRateExceeded);
    }
    return admission;
  }

  /** A failure code if the building has too many subscriptions already. */
  subscribing(session: BrokerSession, { name }: Pick<Subscription, 'name'>): number | undefined {
    if (session.subscriptions.has(name)) return undefined;
    const { building } = session.identity;
    const { sessions } = this.#ward(building);
    if (subscriptionsOf(sessions) < this.#options.limits.buildingSubscriptionsMax) return undefined;
    this.#options.events.subscriptionRefused(building);
    return reason.quotaExceeded;
  }

  /** A message was taken. */
  took(
    session: BrokerSession,
    { device, bytes, qos }: { device: string; bytes: number; qos: 0 | 1 | 2 },
  ): void {
    const { limits, events } = this.#options;
    events.messageReceived(qos);
    const nowMs = performance.now();
    const { devices } = this.#ward(session.identity.building);
    let rate = devices.get(device);
    if (!rate) {
      if (devices.size >= devicesPerBuildingMax) devices.clear();
      devices.set(device, (rate = new Rate(limits.deviceRate, nowMs)));
    }
    const held = rate.take(bytes, nowMs);
    if (!held) return;
    events.held(`device-${held.limit}`);
    this.#deviceHolds.set(session, nowMs + held.holdMs);
  }

  /** A message is on its way to Kafka. */
  began(session: BrokerSession, bytes: number): void {
    const ward = this.#ward(session.identity.building);
    ward.inFlight += 1;
    ward.inFlightBytes += bytes;
  }

  /** It is there, or will not be. */
  settled(session: BrokerSession, bytes: number): void {
    const ward = this.#ward(session.identity.building);
    ward.inFlight -= 1;
    ward.inFlightBytes -= bytes;
  }

  /** Milliseconds for which nothing is read from this client; asked after each packet. */
  holdMs(session: BrokerSession, bytes: number): number {
    const nowMs = performance.now();
    const { limits, events } = this.#options;
    const ward = this.#ward(session.identity.building);
    const held = ward.rate.take(bytes, nowMs);
    if (held) events.held(`building-${held.limit}`);
    const fullness = Math.max(
      ward.inFlight / limits.buildingInFlightMax,
      ward.inFlightBytes / limits.buildingInFlightBytesMax,
    );
    const fullMs = fullness < 1 ? 0 : Math.min(fullHoldMsMax, fullHoldMs * fullness ** 4);
    if (fullMs > 0) events.held('building-in-flight');
    const deviceMs = (this.#deviceHolds.get(session) ?? nowMs) - nowMs;
    return Math.max(0, Math.ceil(deviceMs), held?.holdMs ?? 0, fullMs);
  }

  opened(session: BrokerSession): void {
    const { building } = session.identity;
    const { sessions } = this.#ward(building);
    sessions.set(session.key, session);
    this.#connected.add(session);
    this.#since.set(session, this.#clock());
    // What held when it came may hold no longer: between, its session was opened.
    if (this.#review(session)) return;
    // Many may have been let in at once while none was open yet.
    if (connectedOf(sessions) <= this.#connectionsMax(building)) return;
    this.#options.events.admissionRefused('building-connections');
    session.disconnect(reason.quotaExceeded);
  }

  closed(session: BrokerSession): void {
    this.#connected.delete(session);
    this.#since.set(session, this.#clock());
  }

  ended(session: BrokerSession): void {
    this.#connected.delete(session);
    const ward = this.#wards.get(session.identity.building);
    if (ward?.sessions.get(session.key) === session) ward.sessions.delete(session.key);
  }

  /**
   * A building was declared anew: who came by a password that is changed, or may not be here any more, has to go, and so have
   * the last ones of more connections than it may have now.
   */
  buildingChanged(building: string): void {
    const ward = this.#wards.get(building);
    if (!ward) return;
    for (const session of ward.sessions.values()) this.#review(session);
    this.#takeQuotas(building, ward);
    const over = [...ward.sessions.values()]
      .filter(({ connected }) => connected)
      .toSorted((a, b) => (this.sinceMs(a) ?? 0) - (this.sinceMs(b) ?? 0))
      .slice(this.#connectionsMax(building));
    for (const session of over) {
      this.#options.events.admissionRefused('building-connections');
      session.disconnect(reason.quotaExceeded);
    }
  }

  /** What the building was allowed before is neither kept nor owed under another rate. */
  #takeQuotas(building: string, ward: Ward): void {
    const quotas = this.#options.active(building)?.quotas ?? {};
    const isSame =
      quotas.messagesPerSecond === ward.quotas.messagesPerSecond &&
      quotas.bytesPerSecond === ward.quotas.bytesPerSecond;
    ward.quotas = quotas;
    if (!isSame) ward.rate = this.#rateOf(quotas);
  }

  #rateOf({ messagesPerSecond, bytesPerSecond }: BuildingQuotas): Rate {
    const { buildingRate } = this.#options.limits;
    const max = {
      messagesPerSecond: messagesPerSecond ?? buildingRate.messagesPerSecond,
      bytesPerSecond: bytesPerSecond ?? buildingRate.bytesPerSecond,
    };
    return new Rate(max, performance.now());
  }

  #connectionsMax(building: string): number {
    const { buildingConnectionsMax } = this.#options.limits;
    return this.#options.active(building)?.quotas.connections ?? buildingConnectionsMax;
  }

  /** Certificates were revoked, or time has passed: whose credential holds no longer has to go. */
  review(): void {
    for (const session of this.#connected) this.#review(session);
  }

  #review(session: BrokerSession): boolean {
    if (!session.connected) return false;
    const end = this.#endOf(session.identity);
    if (!end) return false;
    this.#options.events.credentialEnded(session.identity.building, session.clientId, end);
    session.disconnect(reason.notAuthorized);
    return true;
  }

  #endOf({ building, credential }: ClientIdentity): CredentialEnd | undefined {
    const registered = this.#options.active(building);
    if (!registered) return 'building-gone';
    if (credential?.kind === 'password') {
      return credential.passwordHash === registered.passwordHash ? undefined : 'password-changed';
    }
    return credential && this.#certificateEnd(credential);
  }

  #certificateEnd(certificate: CertificateName) {
    if (this.#options.isRevoked(certificate)) return 'certificate-revoked';
    return certificate.expiresAtMs <= this.#clock() ? 'certificate-expired' : undefined;
  }

  #certificateFault({ certificate }: Peer): AdmissionCause | undefined {
    if (!certificate) return undefined;
    if (certificate.fault === 'CERT_HAS_EXPIRED') return 'certificate-expired';
    return certificate.fault ? 'certificate-not-trusted' : this.#certificateEnd(certificate);
  }

  /** The name that a failure counts against, if it is one: names of others are not kept. */
  #nameOf({ userName }: ConnectRequest, { address, certificate }: Peer): string | undefined {
    if (certificate || userName === undefined || !this.#options.active(userName)) return undefined;
    return `${address} ${userName}`;
  }

  #waitMs({ address, certificate }: Peer, name: string | undefined): number {
    // A certificate is not guessed: who shows a good one waits for nobody who shares its address.
    if (certificate) return 0;
    const nowMs = performance.now();
    const nameMs = name === undefined ? 0 : this.#names.waitMs(name, nowMs);
    return Math.max(nameMs, this.#addresses.waitMs(address, nowMs));
  }

  #overLimit(key: string, building: BuildingId): AdmissionCause | undefined {
    const { buildingSessionsMax } = this.#options.limits;
    const { sessions } = this.#ward(building);
    const known = sessions.get(key);
    if (!known && sessions.size >= buildingSessionsMax) return 'building-sessions';
    // Who takes its own session over adds no connection.
    if (known?.connected) return undefined;
    return connectedOf(sessions) >= this.#connectionsMax(building)
      ? 'building-connections'
      : undefined;
  }

  #refuse(cause: AdmissionCause, reasonCode: number): Admission<ClientIdentity> {
    this.#options.events.admissionRefused(cause);
    return { admitted: false, reasonCode };
  }

  #ward(building: BuildingId): Ward {
    const known = this.#wards.get(building);
    if (known) return known;
    const { buildingConnectsPerSecondMax: perSecond } = this.#options.limits;
    const nowMs = performance.now();
    const quotas = this.#options.active(building)?.quotas ?? {};
    const connects = new TokenBucket({ perSecond, burst: connectBurstSeconds * perSecond, nowMs });
    const ward: Ward = {
      sessions: new Map(),
      quotas,
      rate: this.#rateOf(quotas),
      connects,
      devices: new Map(),
      inFlight: 0,
      inFlightBytes: 0,
    };
    this.#wards.set(building, ward);
    return ward;
  }
}

const causes: Readonly<Record<number, AdmissionCause>> = {
  [reason.badUserNameOrPassword]: 'password-wrong',
  [reason.notAuthorized]: 'not-authorized',
  [reason.serverBusy]: 'busy',
};

function subscriptionsOf(sessions: Ward['sessions']): number {
  let subscriptions = 0;
  for (const session of sessions.values()) subscriptions += session.subscriptions.size;
  return subscriptions;
}

function connectedOf(sessions: Ward['sessions']): number {
  let connected = 0;
  for (const session of sessions.values()) if (session.connected) connected += 1;
  return connected;
}

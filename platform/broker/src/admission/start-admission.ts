import { authenticate } from '../authentication.ts';
import type { BrokerConfig } from '../config.ts';
import type { BrokerEvents } from '../events.ts';
import type { RegistryView } from '../model/registry-view.ts';
import { PasswordChecker } from '../password.ts';
import { Gatekeeper, type GatekeeperOptions } from './gatekeeper.ts';
import { TlsMaterial } from './tls-material.ts';

export interface AdmissionParts {
  readonly config: BrokerConfig;
  readonly registry: RegistryView;
  readonly events: BrokerEvents;
  /** Who a client is; absent: by certificate or password, of a building in the registry. */
  readonly authenticate?: GatekeeperOptions['authenticate'];
  /** How late a connection may end after its certificate. */
  readonly reviewEveryMs?: number;
}

export interface RunningAdmission extends Disposable {
  readonly gatekeeper: Gatekeeper;
  readonly tls: TlsMaterial | undefined;
}

/** Reads what TLS needs and lets clients in by it; follows changes of both until it is disposed of. */
export async function startAdmission(parts: AdmissionParts): Promise<RunningAdmission> {
  const { config, events, registry, reviewEveryMs = 5000 } = parts;
  const tls =
    config.tls &&
    (await TlsMaterial.open({ files: config.tls, reloadEveryMs: config.tlsReloadMs, events }));
  const authentication = { country: config.country, registry, passwords: new PasswordChecker() };
  const gatekeeper = new Gatekeeper({
    limits: limitsOf(config),
    events,
    authenticate:
      parts.authenticate ?? ((request, peer) => authenticate(authentication, request, peer)),
    active: (building) => registry.active(building),
    isRevoked: (certificate) => tls?.isRevoked(certificate) ?? false,
  });
  tls?.changed(() => gatekeeper.review());
  const reviewing = setInterval(() => gatekeeper.review(), reviewEveryMs).unref();
  return {
    gatekeeper,
    tls,
    [Symbol.dispose]() {
      clearInterval(reviewing);
      tls?.[Symbol.dispose]();
    },
  };
}

function limitsOf(config: BrokerConfig) {
  return {
    connectionsMax: config.connectionsMax,
    buildingConnectionsMax: config.buildingConnectionsMax,
    buildingConnectsPerSecondMax: config.buildingConnectsPerSecondMax,
    buildingSessionsMax: config.buildingSessionsMax,
    buildingSubscriptionsMax: config.buildingSubscriptionsMax,
    buildingInFlightMax: config.buildingInFlightMax,
    buildingInFlightBytesMax: config.buildingInFlightBytesMax,
    buildingRate: {
      messagesPerSecond: config.buildingMessagesPerSecondMax,
      bytesPerSecond: config.buildingBytesPerSecondMax,
    },
    deviceRate: {
      messagesPerSecond: config.deviceMessagesPerSecondMax,
      bytesPerSecond: config.deviceBytesPerSecondMax,
    },
  };
}

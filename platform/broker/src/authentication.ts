import type { CountryCode } from '@domicile/core/countries.ts';
import { isBuildingId, lowerCountry } from '@domicile/core/identities.ts';
import { isResident, parseGatewayUrn } from '@domicile/core/residency.ts';
import type { Admission, ConnectRequest } from '@domicile/mqtt/owner.ts';
import { reason } from '@domicile/mqtt/reason-codes.ts';
import type { ClientIdentity, Credential, Peer, PeerCertificate } from './admission/identity.ts';
import type { RegistryView } from './model/registry-view.ts';
import type { PasswordChecker } from './password.ts';

export interface Authentication {
  readonly country: CountryCode;
  readonly registry: RegistryView;
  readonly passwords: PasswordChecker;
}

type Refused = Extract<Admission<ClientIdentity>, { admitted: false }>;

interface Claim {
  readonly building: string;
  readonly gateway: string | undefined;
  /** By which it is believed; absent: a password has to be. */
  readonly certificate?: PeerCertificate;
}

/**
 * Who connects, by certificate or by password. The country is judged first, by the text of the id alone:
 * a building of another country is refused before anything is looked up, and nothing of it is kept.
 */
export async function authenticate(
  { country, registry, passwords }: Authentication,
  request: ConnectRequest,
  peer: Pick<Peer, 'certificate'>,
): Promise<Admission<ClientIdentity>> {
  const claimed = claimOf(country, request, peer);
  if ('admitted' in claimed) return claimed;
  const { building, gateway, certificate } = claimed;
  if (!isBuildingId(building)) return refused(reason.badUserNameOrPassword);
  if (!isResident(country, building)) return refused(reason.notAuthorized);
  const registered = registry.active(building);
  let credential: Credential;
  if (certificate) {
    if (!registered) return refused(reason.notAuthorized);
    const { serial, issuer, expiresAtMs } = certificate;
    credential = { kind: 'certificate', serial, issuer, expiresAtMs };
  } else {
    if (!registered?.passwordHash || !request.password) {
      return refused(reason.badUserNameOrPassword);
    }
    const { passwordHash } = registered;
    const right = await passwords.check(request.password, passwordHash);
    if (right === 'busy') return refused(reason.serverBusy);
    if (!right) return refused(reason.badUserNameOrPassword);
    credential = { kind: 'password', passwordHash };
  }
  return {
    admitted: true,
    // Ids hold no slash, so no client of one building can name a session of another.
    key: `${building}/${request.clientId}`,
    identity: { building, gateway, key: Buffer.from(building), credential },
  };
}

/** The building that the client says it is, not believed yet. */
function claimOf(
  country: CountryCode,
  { userName }: ConnectRequest,
  { certificate }: Pick<Peer, 'certificate'>,
): Claim | Refused {
  if (certificate === undefined) {
    if (userName === undefined) return refused(reason.notAuthorized);
    return { building: userName, gateway: undefined };
  }
  // Who has no certificate may come with a password; who has a wrong one may not come at all.
  if (certificate.fault !== undefined) return refused(reason.notAuthorized);
  const names = certificate.uris.map(parseGatewayUrn).filter((name) => name !== undefined);
  const [name] = names;
  if (!name || names.length > 1 || name.country !== lowerCountry(country)) {
    return refused(reason.notAuthorized);
  }
  const differs = userName !== undefined && userName !== name.building;
  if (differs) return refused(reason.notAuthorized);
  return { building: name.building, gateway: name.gateway, certificate };
}

function refused(reasonCode: number): Refused {
  return { admitted: false, reasonCode };
}

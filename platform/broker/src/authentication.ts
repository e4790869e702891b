import type { CountryCode } from '@domicile/core/countries.ts';
import { isBuildingId, lowerCountry } from '@domicile/core/identities.ts';
import { isResident, parseGatewayUrn } from '@domicile/core/residency.ts';
import type { Admission, ConnectRequest } from '@domicile/mqtt/owner.ts';
import { reason } from '@domicile/mqtt/reason-codes.ts';
import type { ClientIdentity } from './building-desk.ts';
import type { RegistryView } from './model/registry-view.ts';
import type { PasswordChecker } from './password.ts';

/** What a listener knows of who connects. */
export interface Peer {
  /** URIs among the subject alternative names of a certificate that the cell's authority issued. */
  readonly certificateUris: readonly string[] | undefined;
}

export interface Authentication {
  readonly country: CountryCode;
  readonly registry: RegistryView;
  readonly passwords: PasswordChecker;
}

type Refused = Extract<Admission<ClientIdentity>, { admitted: false }>;

/**
 * Who connects, by certificate or by password. The country is judged first, by the text of the id alone:
 * a building of another country is refused before anything is looked up, and nothing of it is kept.
 */
export async function authenticate(
  { country, registry, passwords }: Authentication,
  request: ConnectRequest,
  peer: Peer,
): Promise<Admission<ClientIdentity>> {
  const claimed = claimOf(country, request, peer);
  if ('admitted' in claimed) return claimed;
  const { building, gateway } = claimed;
  if (!isBuildingId(building)) return refused(reason.badUserNameOrPassword);
  if (!isResident(country, building)) return refused(reason.notAuthorized);
  const registered = registry.active(building);
  if (gateway !== undefined) {
    if (!registered) return refused(reason.notAuthorized);
  } else {
    if (!registered?.passwordHash || !request.password) {
      return refused(reason.badUserNameOrPassword);
    }
    const right = await passwords.check(request.password, registered.passwordHash);
    if (right === 'busy') return refused(reason.serverBusy);
    if (!right) return refused(reason.badUserNameOrPassword);
  }
  return {
    admitted: true,
    // Ids hold no slash, so no client of one building can name a session of another.
    key: `${building}/${request.clientId}`,
    identity: { building, gateway, key: Buffer.from(building) },
  };
}

/** The building that the client says it is, not believed yet. */
function claimOf(
  country: CountryCode,
  { userName }: ConnectRequest,
  { certificateUris }: Peer,
): { building: string; gateway: string | undefined } | Refused {
  if (certificateUris === undefined) {
    if (userName === undefined) return refused(reason.notAuthorized);
    return { building: userName, gateway: undefined };
  }
  const names = certificateUris.map(parseGatewayUrn).filter((name) => name !== undefined);
  const [name] = names;
  if (!name || names.length > 1 || name.country !== lowerCountry(country)) {
    return refused(reason.notAuthorized);
  }
  const differs = userName !== undefined && userName !== name.building;
  return differs ? refused(reason.notAuthorized) : name;
}

function refused(reasonCode: number): Refused {
  return { admitted: false, reasonCode };
}

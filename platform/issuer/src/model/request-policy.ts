import type { CountryCode } from '@domicile/core/countries.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { isDeviceId, lowerCountry } from '@domicile/core/identities.ts';
import { type GatewayIdentity, parseGatewayUrn } from '@domicile/core/residency.ts';

/** What stands in a certificate request, and what was found of it. */
export interface RequestedCertificate {
  /** URIs among the subject alternative names that it asks for. */
  readonly uris: readonly string[];
  /** Other subject alternative names, counted: none is given. */
  readonly otherNames: number;
  /** The last common name of the subject. */
  readonly commonName: string | undefined;
  readonly key: RequestedKey;
  /** It is signed by the key that it is for, by no hash that is broken. */
  readonly isSigned: boolean;
}

export interface RequestedKey {
  /** As `ec`, `rsa`, `ed25519`. */
  readonly type: string;
  readonly curve?: string | undefined;
  readonly bits?: number | undefined;
}

/** Who asks: the building of an enrolment token, or the gateway of a certificate that it renews. */
export interface Requester {
  readonly building: string;
  readonly gateway?: string;
}

/** Why a request is refused, as it is counted. */
export type Refusal =
  | 'country'
  | 'building'
  | 'gateway'
  | 'name'
  | 'key'
  | 'signature'
  | 'malformed'
  | 'unauthenticated'
  | 'token-used'
  | 'offboarded'
  | 'limited';

export class RequestRefused extends PlatformError {
  readonly refusal: Refusal;

  constructor(refusal: Refusal, ...of: ConstructorParameters<typeof PlatformError>) {
    super(...of);
    this.refusal = refusal;
  }
}

const rsaBits = { min: 2048, max: 8192 };
/** As OpenSSL calls them: P-256, P-384, P-521. */
const curves: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);

/**
 * The name that the certificate gets. A request may leave it to us: then its common name is the gateway's name. Throws
 * `RequestRefused`: the country first, and nothing of the request is repeated.
 */
export function certificateName(
  country: CountryCode,
  requester: Requester,
  wanted: RequestedCertificate,
): GatewayIdentity {
  const cc = lowerCountry(country);
  const named = wanted.uris.map(parseGatewayUrn);
  const foreign = [requester.building, ...named.flatMap((of) => (of ? [of.building] : []))].some(
    (building) => !building.startsWith(`${cc}-`),
  );
  if (foreign || named.some((of) => of && of.country !== cc))
    throw new RequestRefused(
      'country',
      'RESIDENCY_VIOLATION',
      `Cannot issue: this cell issues certificates for ${country} alone`,
    );
  if (named.includes(undefined) || named.length > 1 || wanted.otherNames > 0)
    throw new RequestRefused(
      'name',
      'VALUE_INVALID',
      'Cannot issue: ask for one subject alternative name, URI urn:domicile:{cc}:{building}:{gateway}, or for none',
    );
  const gateway = named[0]?.gateway ?? requester.gateway ?? wanted.commonName ?? '';
  if (named[0] && named[0].building !== requester.building)
    throw new RequestRefused(
      'building',
      'FORBIDDEN',
      'Cannot issue: the request names another building than the one that asks',
    );
  if (requester.gateway !== undefined && gateway !== requester.gateway)
    throw new RequestRefused(
      'gateway',
      'FORBIDDEN',
      'Cannot renew: the request names another gateway than the certificate that it renews',
    );
  if (!isDeviceId(gateway))
    throw new RequestRefused(
      'name',
      'VALUE_INVALID',
      'Cannot issue: name the gateway in the subject alternative name or as common name, by lower-case letters, digits and hyphens',
    );
  refuseWeak(wanted);
  return { country: cc, building: requester.building, gateway };
}

function refuseWeak({ key, isSigned }: RequestedCertificate): void {
  const isStrong =
    key.type === 'ed25519' ||
    (key.type === 'ec' && curves.has(key.curve ?? '')) ||
    (key.type === 'rsa' && (key.bits ?? 0) >= rsaBits.min && (key.bits ?? 0) <= rsaBits.max);
  if (!isStrong)
    throw new RequestRefused(
      'key',
      'VALUE_INVALID',
      `Cannot issue: the key must be EC on P-256, P-384 or P-521, Ed25519, or RSA of ${rsaBits.min} to ${rsaBits.max} bits`,
    );
  if (!isSigned)
    throw new RequestRefused(
      'signature',
      'VALUE_INVALID',
      'Cannot issue: the request is not signed by its own key with SHA-256 or better',
    );
}

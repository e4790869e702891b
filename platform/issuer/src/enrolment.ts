import type { CountryCode } from '@domicile/core/countries.ts';
import { type BuildingId, isBuildingId } from '@domicile/core/identities.ts';
import { isResident, parseGatewayUrn } from '@domicile/core/residency.ts';
import { type Authority, certsOnly, readRequest } from './authority.ts';
import { type Enrolment, isToken, readEnrolment } from './enrolment-files.ts';
import type { IssuerEvents } from './events.ts';
import type { IssuedBook } from './issued.ts';
import { certificateName, RequestRefused, type Requester } from './model/request-policy.ts';

export interface EnrolmentParts {
  readonly country: CountryCode;
  readonly authority: Pick<Authority, 'sign' | 'bundle'>;
  readonly book: IssuedBook;
  readonly enrolmentsDir: string;
  readonly lifetimeMs: number;
  readonly events: IssuerEvents;
  readonly now: () => number;
}

/** User and password of HTTP Basic: the building and its token. */
export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** RFC 7030, 4.2.1: answers PKCS#7 certs-only, DER. Throws `RequestRefused`. */
export async function enrolFirst(
  parts: EnrolmentParts,
  credentials: Credentials | undefined,
  body: Buffer,
): Promise<Buffer> {
  if (!credentials)
    throw unauthenticated('Cannot enrol: send the building and its enrolment token by HTTP Basic');
  const building = residentOf(parts.country, credentials.user);
  const enrolment = building && (await readEnrolment(parts.enrolmentsDir, building));
  if (!building || !enrolment || !isToken(credentials.password, enrolment))
    throw unauthenticated('Cannot enrol: there is no such building, or this is not its token');
  refuseOffboarded(enrolment);
  return issue(parts, { building, enrolment, isFirst: true, requester: { building } }, body);
}

/** RFC 7030, 4.2.2. `uris` are the names in the certificate that the connection proved; undefined if it proved none. */
export async function enrolAgain(
  parts: EnrolmentParts,
  uris: readonly string[] | undefined,
  body: Buffer,
): Promise<Buffer> {
  const names = (uris ?? []).map(parseGatewayUrn).filter((name) => name !== undefined);
  const [name] = names;
  if (!name || names.length > 1)
    throw unauthenticated(
      'Cannot renew: show a valid certificate of this cell by mutual TLS; if it has ended, enrol with a new token',
    );
  const building = residentOf(parts.country, name.building);
  const enrolment = building && (await readEnrolment(parts.enrolmentsDir, building));
  if (!building || !enrolment)
    throw new RequestRefused(
      'offboarded',
      'FORBIDDEN',
      'Cannot renew: the building is not declared in this cell any more',
    );
  refuseOffboarded(enrolment);
  return issue(parts, { building, enrolment, isFirst: false, requester: name }, body);
}

interface Granted {
  readonly building: BuildingId;
  readonly enrolment: Enrolment;
  readonly isFirst: boolean;
  readonly requester: Requester;
}

async function issue(parts: EnrolmentParts, granted: Granted, body: Buffer): Promise<Buffer> {
  const { country, authority, book, lifetimeMs, events, now } = parts;
  const { requester, isFirst, enrolment } = granted;
  const { wanted, request, keySha256 } = await readRequest(body);
  const identity = certificateName(country, requester, wanted);
  if (isFirst) refuseUsed(book, enrolment, keySha256);
  const nowMs = now();
  const { certificate, serial, until } = await authority.sign(request, identity, {
    nowMs,
    lifetimeMs,
  });
  const { building, gateway } = identity;
  // Another key may have come with the token while this one was signed.
  if (isFirst) refuseUsed(book, enrolment, keySha256);
  await book.add({
    at: new Date(nowMs).toISOString(),
    building,
    gateway,
    serial,
    until: until.toISOString(),
    key: keySha256,
    ...(isFirst && { tokenSha256: enrolment.tokenSha256 }),
  });
  const kind = isFirst ? 'first' : 'renewal';
  events.issued({ kind, building, gateway, serial, until: until.toISOString() });
  return certsOnly([certificate]);
}

/** Undefined for what is no building. Judged by its text alone, before anything is looked up. */
function residentOf(country: CountryCode, text: string): BuildingId | undefined {
  if (!isBuildingId(text)) return undefined;
  if (isResident(country, text)) return text;
  throw new RequestRefused(
    'country',
    'RESIDENCY_VIOLATION',
    `Cannot issue: this cell issues certificates for ${country} alone`,
  );
}

function refuseUsed(book: IssuedBook, { tokenSha256 }: Enrolment, keySha256: string): void {
  if (!book.admits(tokenSha256, keySha256))
    throw new RequestRefused(
      'token-used',
      'FORBIDDEN',
      'Cannot enrol: this token was used for another key; have a new one made for the building',
    );
}

function refuseOffboarded({ state }: Enrolment): void {
  if (state === 'offboarded')
    throw new RequestRefused(
      'offboarded',
      'FORBIDDEN',
      'Cannot issue: the building is offboarded and its gateways get no certificates',
    );
}

function unauthenticated(message: string): RequestRefused {
  return new RequestRefused('unauthenticated', 'UNAUTHENTICATED', message);
}

import { timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { PlatformError } from '@domicile/core/errors.ts';
import { z } from 'zod';

export const scopes = [
  'summary:read',
  'command:write',
  'raw:read',
  'analysis:run',
  'residency:read',
] as const;

export type Scope = (typeof scopes)[number];

/** The `client` of internal teams, who may see every client's buildings. An absent one is no claim at all. */
export const everyClient = '*';

/** Who asks, as the front door verified it. */
export interface Claims {
  readonly subject: string;
  /** A client's id, or `everyClient`. */
  readonly client: string;
  readonly scopes: ReadonlySet<Scope>;
  /** Narrows further to these, if given. */
  readonly buildings?: readonly string[];
  /** Seconds since 1970. */
  readonly expiresAt: number;
}

/** What the front door says to the services behind it; from outside both headers are taken off. */
export const claimsHeader = 'x-domicile-claims';
export const internalHeader = 'x-domicile-internal';

const id = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/);
const buildingsMax = 10_000;

/** The claims as they stand in a token or in the header; unknown members are left out. */
const wire = z.object({
  sub: z.string().min(1).max(255),
  client: z.union([z.literal(everyClient), id]),
  scope: z.string().max(1_000),
  buildings: z.array(id).max(buildingsMax).optional(),
  exp: z.number().int().positive(),
});

/** Reads the verified payload of a token. `undefined` if it lacks one of ours. */
export function claimsOf(payload: unknown): Claims | undefined {
  const read = wire.safeParse(payload);
  if (!read.success) return undefined;
  const { sub, client, scope, buildings, exp } = read.data;
  return {
    subject: sub,
    client,
    scopes: parseScopes(scope),
    expiresAt: exp,
    ...(buildings && { buildings }),
  };
}

/** The scopes of a `scope` claim. A word that is none of ours grants nothing. */
export function parseScopes(claim: string): ReadonlySet<Scope> {
  const words = claim.split(' ');
  return new Set(scopes.filter((scope) => words.includes(scope)));
}

/** Whether these claims reach a building: what they do not reach is answered as if it did not exist. */
export function maySee(claims: Claims, building: { id: string; client: string }): boolean {
  const ofClient = claims.client === everyClient || claims.client === building.client;
  return ofClient && (claims.buildings?.includes(building.id) ?? true);
}

/** The two headers that carry verified claims from the front door to a service. */
export function writeClaims(claims: Claims, secret: string): Record<string, string> {
  const { subject, client, scopes: granted, buildings, expiresAt } = claims;
  const payload = {
    sub: subject,
    client,
    scope: [...granted].join(' '),
    buildings,
    exp: expiresAt,
  };
  return {
    [claimsHeader]: Buffer.from(JSON.stringify(payload)).toString('base64url'),
    [internalHeader]: secret,
  };
}

/**
 * The claims of a request that came through the front door of this cell. Throws `UNAUTHENTICATED` if
 * it did not, or if what it carries cannot be read. A service then checks its scope and `maySee`.
 */
export function readClaims(
  request: { readonly headers: IncomingHttpHeaders },
  secret: string,
): Claims {
  const { [internalHeader]: given, [claimsHeader]: encoded } = request.headers;
  if (!isSame(given, secret)) throw notThroughTheDoor();
  const claims = typeof encoded === 'string' ? claimsOf(decoded(encoded)) : undefined;
  if (!claims) throw notThroughTheDoor();
  return claims;
}

/** Throws `FORBIDDEN` unless the claims have the scope. */
export function requireScope(claims: Claims, scope: Scope): void {
  if (!claims.scopes.has(scope))
    throw new PlatformError('FORBIDDEN', `Cannot do it: the scope ${scope} is needed`);
}

function isSame(given: unknown, secret: string): boolean {
  if (typeof given !== 'string' || secret === '') return false;
  const [one, other] = [Buffer.from(given), Buffer.from(secret)];
  return one.length === other.length && timingSafeEqual(one, other);
}

function decoded(encoded: string): unknown {
  try {
    return JSON.parse(Buffer.from(encoded, 'base64url').toString());
  } catch {
    return undefined;
  }
}

function notThroughTheDoor(): PlatformError {
  return new PlatformError(
    'UNAUTHENTICATED',
    'Cannot answer: the request did not come through the front door of this cell',
  );
}

import { PlatformError } from '@domicile/core/errors.ts';
import { isBuildingId } from '@domicile/core/identities.ts';
import { type Claims, writeClaims } from '@domicile/runtime/claims.ts';
import { sendProblem } from '@domicile/runtime/http.ts';
import { problemOf } from '@domicile/runtime/problem.ts';
import type { Request, RequestHandler, Response } from 'express';
import type { Authenticate } from './authenticate.ts';
import { readBody } from './body.ts';
import type { GatewayConfig } from './config.ts';
import type { Events } from './events.ts';
import type { Forward } from './forward.ts';
import { foreignCountry, namedBuildings } from './model/border.ts';
import { limitHeaders, Limits, type LimitPolicy } from './model/limits.ts';
import { segmentsOf, splitTarget } from './model/path.ts';
import { type Match, matchRoute, type Route, type Upstream } from './model/routes.ts';
import type { StreamSlots } from './stream-slots.ts';

export interface DoorParts {
  readonly config: GatewayConfig;
  /** By which each service behind knows that it is the door that speaks. */
  readonly secrets: Readonly<Record<Upstream, string>>;
  readonly authenticate: Authenticate;
  readonly forward: Forward;
  readonly slots: StreamSlots;
  readonly events: Events;
}

const subjectsMax = 50_000;

/**
 * What goes on of a stranger's headers. All else stays outside: what speaks for the door, and credentials, since a
 * service that sees a token could use it at another.
 */
const passedOn = [
  'accept',
  'content-type',
  'idempotency-key',
  'if-match',
  'if-none-match',
  'if-range',
  'last-event-id',
  'range',
] as const;

/**
 * One request, in this order: can its path be read in one way only; does it name a building of another
 * country (421, before anything is looked up); is there such a route and method; who asks; are they within their limit;
 * may they; is it built. Then it goes on to the service that answers.
 */
export function frontDoor(parts: DoorParts): RequestHandler {
  const { config, events } = parts;
  const policy: LimitPolicy = {
    requests: config.GATEWAY_LIMIT_REQUESTS,
    windowMs: config.GATEWAY_LIMIT_WINDOW_MS,
    subjectsMax,
  };
  const limits = new Limits(policy);
  return async (request, response) => {
    const { path, query } = splitTarget(request.originalUrl);
    const segments = segmentsOf(path);
    if (!segments) throw notFound();
    const parameters = new URLSearchParams(query);
    refuseForeign(parts, namedBuildings(segments, parameters));

    const match = routeOf(request.method, segments, response);
    request.route = { path: match.route.path };
    const claims = await parts.authenticate(request, response);
    const admission = limits.admit(claims.subject, performance.now());
    for (const [name, value] of Object.entries(limitHeaders(policy, admission)))
      response.setHeader(name, value);
    if (!admission.isAdmitted) {
      events.limited('requests');
      throw new PlatformError('RATE_LIMITED', 'Cannot answer now: too many requests');
    }
    requireScopeOf(match.route, { claims, response, events });
    if (match.route.isBuilt === false)
      throw new PlatformError('NOT_BUILT', 'Cannot answer: this part is not built yet');

    const target = targetOf(segments, parameters);
    await pass(parts, { request, response, match, claims, target });
  };
}

function routeOf(method: string, segments: readonly string[], response: Response): Match {
  const match = matchRoute(method, segments);
  if (!match) throw notFound();
  if ('allowed' in match) {
    const allowed = match.allowed.join(', ');
    response.setHeader('Allow', allowed);
    throw new PlatformError('METHOD_NOT_ALLOWED', `Cannot do it: the methods here are ${allowed}`);
  }
  const { building } = match.parameters;
  // No such building can exist, so nobody needs to look for it.
  if (building !== undefined && !isBuildingId(building)) throw notFound();
  return match;
}

function refuseForeign({ config, events }: DoorParts, buildings: readonly string[]): void {
  const foreign = foreignCountry(config.GATEWAY_COUNTRY, buildings);
  if (foreign === undefined) return;
  events.foreignBuilding();
  const cell = config.GATEWAY_CELLS.get(foreign);
  throw new PlatformError(
    'RESIDENCY_VIOLATION',
    `Cannot serve this building: this cell serves ${config.GATEWAY_COUNTRY} alone`,
    { details: { ...(cell !== undefined && { cell }) } },
  );
}

interface Asking {
  readonly claims: Claims;
  readonly response: Response;
  readonly events: Events;
}

function requireScopeOf({ scope }: Route, { claims, response, events }: Asking): void {
  if (claims.scopes.has(scope)) return;
  events.scopeMissing(scope, claims.subject);
  response.setHeader('WWW-Authenticate', `Bearer error="insufficient_scope", scope="${scope}"`);
  throw new PlatformError('FORBIDDEN', `Cannot do it: the scope ${scope} is needed`);
}

interface Passing {
  readonly request: Request;
  readonly response: Response;
  readonly match: Match;
  readonly claims: Claims;
  readonly target: string;
}

async function pass(parts: DoorParts, passing: Passing): Promise<void> {
  const { request, response, match, claims, target } = passing;
  const { upstream, isStream = false } = match.route;
  const body = await readBody(request);
  using _slot = isStream ? parts.slots.take(claims.subject) : undefined;
  const forwarding = {
    address: addressOf(upstream, parts.config),
    target,
    headers: headersFor(parts, passing, body),
    body,
    isStream,
    timeoutMs: parts.config.GATEWAY_UPSTREAM_TIMEOUT_MS,
  };
  try {
    await parts.forward(request, response, forwarding);
  } catch (error) {
    if (response.destroyed) return;
    parts.events.upstreamFailed(upstream, error);
    if (response.headersSent || !(error instanceof PlatformError)) throw error;
    response.setHeader('Retry-After', '1');
    sendProblem(response, problemOf(error));
  }
}

function headersFor(
  { secrets }: DoorParts,
  { request, response, match, claims }: Passing,
  body: Buffer | undefined,
): Record<string, string> {
  const given = passedOn.flatMap((name) => {
    const value = request.get(name);
    return value === undefined ? [] : [[name, value] as const];
  });
  return {
    ...Object.fromEntries(given),
    ...(body && { 'content-length': `${body.length}` }),
    'x-request-id': String(response.getHeader('X-Request-Id')),
    ...writeClaims(claims, secrets[match.route.upstream]),
  };
}

/** Path and query as they were judged, written anew, so that nobody behind reads another meaning. */
function targetOf(segments: readonly string[], parameters: URLSearchParams): string {
  const path = segments.map(encodeURIComponent).join('/');
  return parameters.size > 0 ? `/${path}?${parameters.toString()}` : `/${path}`;
}

function addressOf(upstream: Upstream, config: GatewayConfig): string {
  const addresses: Record<Upstream, string> = {
    serving: config.GATEWAY_SERVING_URL,
    raw: config.GATEWAY_RAW_URL,
    commands: config.GATEWAY_COMMANDS_URL,
    residency: config.GATEWAY_RESIDENCY_URL ?? config.GATEWAY_SERVING_URL,
  };
  return addresses[upstream];
}

function notFound(): PlatformError {
  return new PlatformError('NOT_FOUND', 'Cannot find it: there is nothing at this address');
}

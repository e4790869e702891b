import {
  type CommandAnswer,
  type CommandBody,
  commandBody,
} from '@domicile/core/answers/commands.ts';
import type { BuildingRecord } from '@domicile/core/building.ts';
import type { CountryCode } from '@domicile/core/countries.ts';
import { type Fault, PlatformError } from '@domicile/core/errors.ts';
import { parseResident } from '@domicile/core/residency.ts';
import { type Claims, maySee, readClaims, requireScope } from '@domicile/runtime/claims.ts';
import { addRoute } from '@domicile/runtime/http-route.ts';
import { type Request, Router } from 'express';
import type { CommandDesk } from './command-desk.ts';
import type { CommandBook } from './model/command-book.ts';
import type { CommandLife } from './model/command-life.ts';

export interface CommandParts {
  readonly country: CountryCode;
  readonly secret: string;
  readonly buildings: { get(id: string): BuildingRecord | undefined };
  readonly book: CommandBook;
  readonly desk: CommandDesk;
  /** Whether all has been read that was said before: until then nobody knows what was asked for under a key. */
  readonly caughtUp: () => boolean;
}

/** Printable ASCII. */
const keyPattern = /^[!-~]{1,128}$/;
const path = '/v1/buildings/:building/devices/:device/commands';

/** Commands of devices: taken in, and told what became of them. */
export function commandRoutes(parts: CommandParts): Router {
  const router = Router();
  addRoute(router, path, {
    POST: async (request, response) => {
      const { claims, building, device } = enter(parts, request);
      const body = bodyOf(request);
      const idempotencyKey = keyOf(request);
      const by = claims.subject;
      const life = await parts.desk.accept({ building, device, body, by, idempotencyKey });
      response.setHeader(
        'Location',
        `/v1/buildings/${building.id}/devices/${device}/commands/${life.record.id}`,
      );
      response.status(202).json(answerOf(life));
    },
  });
  addRoute(router, `${path}/:command`, {
    GET: (request, response) => {
      const { building, device } = enter(parts, request);
      const life = parts.book.get(building.id, textOf(request.params['command']));
      if (life?.record.device !== device)
        throw new PlatformError('NOT_FOUND', 'Cannot find the command');
      response.json(answerOf(life));
    },
  });
  return router;
}

/** Who asks, by which scope, in which country; only then is anything looked up. */
function enter(
  { country, secret, buildings, caughtUp }: CommandParts,
  request: Request,
): { claims: Claims; building: BuildingRecord; device: string } {
  const claims = readClaims(request, secret);
  requireScope(claims, 'command:write');
  const id = parseResident(country, textOf(request.params['building']));
  if (!caughtUp())
    throw new PlatformError(
      'UPSTREAM_UNAVAILABLE',
      'Cannot answer yet: what was commanded before is being read; try again soon',
    );
  const building = buildings.get(id);
  if (!building || !maySee(claims, building))
    throw new PlatformError('NOT_FOUND', 'Cannot find the building');
  return { claims, building, device: textOf(request.params['device']) };
}

function bodyOf(request: Request): CommandBody {
  const read = commandBody.safeParse(request.body);
  if (read.success) return read.data;
  throw invalid(
    read.error.issues.map(({ path: at, message }) => ({
      pointer: `#/body${at.map((step) => `/${String(step)}`).join('')}`,
      detail: message,
    })),
  );
}

function keyOf(request: Request): string | undefined {
  const key = request.get('idempotency-key');
  if (key === undefined || keyPattern.test(key)) return key;
  const detail = 'expected at most 128 printable characters without blanks';
  throw invalid([{ pointer: '#/header/Idempotency-Key', detail }]);
}

function invalid(faults: readonly Fault[]): PlatformError {
  return new PlatformError('VALUE_INVALID', 'Cannot read the request: a part of it is invalid', {
    details: { errors: faults },
    faults,
  });
}

function textOf(parameter: string | string[] | undefined): string {
  return typeof parameter === 'string' ? parameter : '';
}

function answerOf({ record, state, at, history }: CommandLife): CommandAnswer {
  const { id, device, set, expiresAt } = record;
  return { id, device, set, state, at, expiresAt, history: [...history] };
}

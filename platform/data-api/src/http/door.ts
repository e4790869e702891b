import type { BuildingRecord } from '@domicile/core/building.ts';
import type { CountryCode } from '@domicile/core/countries.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { type BuildingId, isBuildingId } from '@domicile/core/identities.ts';
import { requireResident } from '@domicile/core/residency.ts';
import {
  type Claims,
  everyClient,
  maySee,
  readClaims,
  requireScope,
  type Scope,
} from '@domicile/runtime/claims.ts';
import type { Request } from 'express';
import { invalidRequest } from '../model/parameters.ts';

export interface FindBuilding {
  get(id: string): BuildingRecord | undefined;
  all(): Iterable<BuildingRecord>;
}

/**
 * Who may see what. The order is fixed: who asks, by which scope, in which country; only then is anything looked up, and
 * what the asker may not see does not exist.
 */
export class Door {
  readonly #country: CountryCode;
  readonly #secret: string;
  readonly #buildings: FindBuilding;

  constructor(of: { country: CountryCode; secret: string; buildings: FindBuilding }) {
    this.#country = of.country;
    this.#secret = of.secret;
    this.#buildings = of.buildings;
  }

  /** Throws `UNAUTHENTICATED` or `FORBIDDEN`. */
  claims(request: Request, scope: Scope): Claims {
    const claims = readClaims(request, this.#secret);
    requireScope(claims, scope);
    return claims;
  }

  /** Throws `VALUE_INVALID` for no id, `RESIDENCY_VIOLATION` for another country's, `NOT_FOUND` for what is not to be seen. */
  building(claims: Claims, id: string): BuildingRecord {
    const building = this.#buildings.get(this.#resident(id, '#/path/building'));
    if (building && maySee(claims, building)) return building;
    throw new PlatformError('NOT_FOUND', 'Cannot find the building');
  }

  /**
   * The border, before anything else of a request is read: `RESIDENCY_VIOLATION` if one of the ids that a query names is
   * another country's. What is no id is told later, with its place.
   */
  requireHome(named: unknown): void {
    for (const text of [named].flat()) {
      if (typeof text !== 'string') continue;
      for (const id of text.split(',')) if (isBuildingId(id)) requireResident(this.#country, id);
    }
  }

  /** Of several ids none is looked up before the country of all is known. */
  allOf(claims: Claims, ids: readonly string[]): BuildingRecord[] {
    for (const id of ids) this.#resident(id, '#/query/building');
    return ids.map((id) => this.building(claims, id));
  }

  #resident(id: string, pointer: string): BuildingId {
    if (isBuildingId(id)) return requireResident(this.#country, id);
    const detail = 'expected an id that begins with its country, such as de-7f3k';
    throw invalidRequest([{ pointer, detail }]);
  }

  visible(claims: Claims): BuildingRecord[] {
    return [...this.#buildings.all()].filter((building) => maySee(claims, building));
  }

  /** What mixes buildings is for those who may see all of them. Throws `FORBIDDEN`. */
  requireAll(claims: Claims): void {
    if (claims.client === everyClient && !claims.buildings) return;
    throw new PlatformError(
      'FORBIDDEN',
      'Cannot show it: these files hold several buildings, and the token reaches only some',
    );
  }
}

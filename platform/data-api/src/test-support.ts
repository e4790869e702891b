import type { BuildingRecord } from '@domicile/core/building.ts';
import { type BuildingsValues, buildingsOf } from '@domicile/core/values.ts';
import { type Claims, writeClaims } from '@domicile/runtime/claims.ts';

export const secret = 'of this test alone';

const values: Partial<BuildingsValues> & object = {
  roomTypes: { standard: { air: 'air-quality', door: 'contact' } },
};

const building = (client: string) => ({
  client,
  timeZone: 'Europe/Berlin',
  floors: { '1': { rooms: { 'r[1-2]': 'standard' } } },
});

/** Three buildings of two clients, each with two rooms of two devices. */
export function testBuildings(): BuildingRecord[] {
  const buildings = {
    'de-one': building('acme'),
    'de-two': building('acme'),
    'de-three': building('other'),
  };
  return buildingsOf({ ...values, buildings }, 'DE');
}

/** Headers as the front door sends them on. */
export function headersOf(claims: Partial<Claims> = {}): Record<string, string> {
  return writeClaims(
    {
      subject: 'someone',
      client: 'acme',
      scopes: new Set(['summary:read']),
      expiresAt: Math.floor(Date.now() / 1000) + 600,
      ...claims,
    },
    secret,
  );
}

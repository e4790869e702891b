import type { CountryCode } from '@domicile/core/countries.ts';
import type { Finding } from '../../model/building/building-conditions.ts';

/** A cell that comes is noticed by itself; this is for the case that it is not. */
export const noCellMs = 60_000;

export function noCell(country: CountryCode): Finding {
  return {
    status: 'Unknown',
    reason: 'NoCell',
    message: `There is no cell of ${country}: install the chart domicile-cell`,
  };
}

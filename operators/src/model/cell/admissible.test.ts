import { parseCellSpec } from '@domicile/core/resources/cell.ts';
import { expect, test } from 'vitest';
import { refusalOf } from './admissible.ts';
import { packOfDe, specOfDe } from './test-plan.ts';

const circumstances = {
  country: 'DE',
  cellNamespace: 'domicile',
  pack: packOfDe,
  inForce: 'de',
};
const spec = (changes: Readonly<Record<string, unknown>> = {}) => parseCellSpec(specOfDe(changes));

test('the Cell of the cluster’s country is worked on', () => {
  expect(refusalOf('de', spec(), circumstances)).toBeUndefined();
});

test.each([
  ['in the cluster of another country', spec(), { country: 'US' }, 'CountryOther'],
  ['beside an older one', spec(), { inForce: 'older' }, 'AnotherCellInForce'],
  ['in a namespace without rights', spec({ namespace: 'x' }), {}, 'NamespaceNotServed'],
  ['of a country without a pack', spec(), { pack: undefined }, 'NoCountryPack'],
  [
    'with a site that the pack does not name',
    spec({ regions: ['europe-west3', 'onprem-de-berlin'] }),
    {},
    'RegionNotInPack',
  ],
  ['with Spark', spec({ stream: { engine: 'spark' } }), {}, 'EngineNotBuilt'],
] as const)('a Cell %s is refused', (_what, of, changes, reason) => {
  expect(refusalOf('de', of, { ...circumstances, ...changes })?.reason).toBe(reason);
});

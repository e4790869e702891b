import type { CountryPack } from '@domicile/core/country-pack.ts';
import type { CellSpec } from '@domicile/core/resources/cell.ts';

/** Why a Cell is not begun with, until somebody changes it. */
export interface Refusal {
  readonly reason:
    | 'AnotherCellInForce'
    | 'CountryOther'
    | 'EngineNotBuilt'
    | 'NamespaceNotServed'
    | 'NoCountryPack'
    | 'RegionNotInPack'
    | 'RegionAbroad'
    | 'SpecInvalid';
  readonly message: string;
}

interface Circumstances {
  /** Of the cluster. */
  readonly country: string;
  readonly cellNamespace: string;
  readonly pack: CountryPack | undefined;
  /** The name of the Cell that the cluster is served by, the older one. */
  readonly inForce: string | undefined;
}

/** Undefined if the Cell may be worked on. One cluster is one country, and has one Cell. */
export function refusalOf(
  name: string,
  spec: CellSpec,
  { country, cellNamespace, pack, inForce }: Circumstances,
): Refusal | undefined {
  if (spec.country !== country)
    return {
      reason: 'CountryOther',
      message: `this cluster is ${country}’s: create the Cell of ${spec.country} in a cluster of its own`,
    };
  if (inForce !== undefined && inForce !== name)
    return {
      reason: 'AnotherCellInForce',
      message: `a cluster has one cell, and the older Cell ${inForce} is it: delete this one`,
    };
  if (spec.namespace !== cellNamespace)
    return {
      reason: 'NamespaceNotServed',
      message: `the operator works in the namespace ${cellNamespace} alone: set spec.namespace to it, or the chart’s cellNamespace`,
    };
  if (pack === undefined)
    return {
      reason: 'NoCountryPack',
      message: `there is no country pack for ${spec.country}: add regions/${spec.country.toLowerCase()}.yaml`,
    };
  const stray = spec.regions.filter((region) => !pack.regions.includes(region));
  if (stray.length > 0)
    return {
      reason: 'RegionNotInPack',
      message: `the country pack of ${spec.country} does not name ${stray.join(', ')}: add it there, which is reviewed, or take it out of spec.regions`,
    };
  if (spec.stream.engine === 'spark')
    return {
      reason: 'EngineNotBuilt',
      message: 'spec.stream.engine spark is announced and not built yet: set it to embedded',
    };
  return undefined;
}

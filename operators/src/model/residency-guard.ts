import { type CountryCode, countryOfRegion } from '@domicile/core/countries.ts';

/** Where the data of a cell may be: one country, and of it these regions. */
export interface Home {
  readonly country: CountryCode;
  readonly regions: readonly string[];
}

/** What of a cell is, or would come to be, where it must not. */
export interface Breach {
  readonly concern: 'kafka' | 'store' | 'workloads' | 'buildings';
  readonly reason:
    | 'BrokerAbroad'
    | 'BrokerPlaceUnknown'
    | 'BucketAbroad'
    | 'BucketPlaceUnknown'
    | 'BucketOfManyRegions'
    | 'BuildingAbroad'
    | 'NodeAbroad'
    | 'NodePlaceUnknown'
    | 'PodAbroad'
    | 'WorkloadNotPinned';
  /** What was found where, and what to do. */
  readonly evidence: string;
}

export interface BrokerPlace {
  readonly id: number;
  readonly host: string;
  readonly rack: string | undefined;
}

export interface BucketPlace {
  readonly bucket: string;
  readonly location: string;
  readonly locationType: 'region' | 'dual-region' | 'multi-region' | 'unknown';
}

export interface NodePlace {
  readonly name: string;
  readonly region: string | undefined;
  readonly zone: string | undefined;
  /** As the provider names it: `gce://project/zone/name`. */
  readonly providerId: string | undefined;
}

export const regionLabel = 'topology.kubernetes.io/region';
export const zoneLabel = 'topology.kubernetes.io/zone';

/** Whether it is a region of the cell, which lies in the country. What is not known to be at home is abroad. */
export function isHome(home: Home, region: string): boolean {
  const name = region.toLowerCase();
  return home.regions.includes(name) && countryOfRegion(name) === home.country;
}

function isInCountry({ country }: Home, region: string): boolean {
  return countryOfRegion(region) === country;
}

/** A rack is a region, or a zone of one: `europe-west3`, `europe-west3-a`. */
export function regionOfRack(home: Home, rack: string): string | undefined {
  const name = rack.toLowerCase();
  return home.regions.find((region) => name === region || isZoneOf(region, name));
}

function isZoneOf(region: string, zone: string): boolean {
  return zone.startsWith(`${region}-`) && /^[a-z0-9]{1,8}$/.test(zone.slice(region.length + 1));
}

/** Before anything is written to Kafka, and on each look. None is none: a Kafka without brokers proves nothing. */
export function brokerBreaches(home: Home, brokers: readonly BrokerPlace[]): Breach[] {
  return brokers.flatMap(({ id, host, rack }): Breach[] => {
    const who = `broker ${id} (${host})`;
    if (rack === undefined || rack === '')
      return [
        {
          concern: 'kafka',
          reason: 'BrokerPlaceUnknown',
          evidence: `${who} names no rack: set broker.rack to its region, one of ${told(home)}`,
        },
      ];
    const region = regionOfRack(home, rack);
    if (region !== undefined && isHome(home, region)) return [];
    return [
      {
        concern: 'kafka',
        reason: 'BrokerAbroad',
        evidence: `${who} stands in ${rack}, outside ${told(home)}: take it out of the cluster; what it holds stays to be erased there by hand`,
      },
    ];
  });
}

/** Before a bucket is made or changed, and on each look. */
export function bucketBreaches(home: Home, place: BucketPlace): Breach[] {
  const { bucket, location, locationType } = place;
  if (locationType === 'dual-region' || locationType === 'multi-region')
    return [
      {
        concern: 'store',
        reason: 'BucketOfManyRegions',
        evidence: `bucket ${bucket} spans regions (${location}, ${locationType}): use a bucket of one region of ${told(home)}`,
      },
    ];
  if (locationType !== 'region' || location === '')
    return [
      {
        concern: 'store',
        reason: 'BucketPlaceUnknown',
        evidence: `bucket ${bucket} does not tell one region (${location || 'none'}, ${locationType}): use a bucket of one region of ${told(home)}`,
      },
    ];
  if (isHome(home, location)) return [];
  return [
    {
      concern: 'store',
      reason: 'BucketAbroad',
      evidence: `bucket ${bucket} lies in ${location}, outside ${told(home)}: name a bucket at home; nothing is moved or deleted`,
    },
  ];
}

/** Of a node on which the cell runs or would run. Zone and provider must tell the same as the region, which is only a label. */
export function nodeBreaches(home: Home, node: NodePlace): Breach[] {
  const { name, region, zone, providerId } = node;
  if (region === undefined || region === '')
    return [
      {
        concern: 'workloads',
        reason: 'NodePlaceUnknown',
        evidence: `node ${name} has no label ${regionLabel}: label it with its region or drain it`,
      },
    ];
  if (!isInCountry(home, region))
    return [
      {
        concern: 'workloads',
        reason: 'NodeAbroad',
        evidence: `node ${name} stands in ${region}, outside ${told(home)}: cordon and drain it`,
      },
    ];
  // On premises a zone is named as its owner likes.
  const named = region.startsWith('onprem-') ? undefined : zone;
  const contradicts = [named, zoneOfProvider(providerId)].find(
    (one) => one !== undefined && one !== region && !isZoneOf(region, one),
  );
  if (contradicts === undefined) return [];
  return [
    {
      concern: 'workloads',
      reason: 'NodeAbroad',
      evidence: `node ${name} is labelled ${region}, but is in ${contradicts}: cordon and drain it, and find out who labelled it`,
    },
  ];
}

/** `gce://project/europe-west3-a/name` and `aws:///eu-central-1a/id` name the zone. */
function zoneOfProvider(providerId: string | undefined): string | undefined {
  const match = /^gce:\/\/[^/]+\/([a-z]+-[a-z]+[0-9]+-[a-z])\//.exec(providerId ?? '');
  return match?.[1];
}

/**
 * Of a pod spec: each required term must pin the region to some of the country; terms are alternatives. A pod that began when the
 * cell had other regions at home is replaced by its workload, and is no breach until then.
 */
export function pinBreaches(home: Home, name: string, podSpec: unknown): Breach[] {
  const terms = requiredTerms(podSpec);
  if (terms.length > 0 && terms.every((term) => pins(home, term))) return [];
  return [
    {
      concern: 'workloads',
      reason: 'WorkloadNotPinned',
      evidence: `${name} is not pinned to ${told(home)} by a required node affinity on ${regionLabel}: delete it`,
    },
  ];
}

/** Before a record of the building is written. */
export function buildingBreaches(
  home: Home,
  building: { readonly id: string; readonly country: string },
): Breach[] {
  const prefix = `${home.country.toLowerCase()}-`;
  if (building.id.startsWith(prefix) && building.country === home.country) return [];
  return [
    {
      concern: 'buildings',
      reason: 'BuildingAbroad',
      evidence: `${building.id} belongs to ${building.country}: declare it in the cluster of that country; this one is ${home.country}’s`,
    },
  ];
}

function requiredTerms(podSpec: unknown): unknown[] {
  const terms = at(podSpec, [
    'affinity',
    'nodeAffinity',
    'requiredDuringSchedulingIgnoredDuringExecution',
    'nodeSelectorTerms',
  ]);
  return Array.isArray(terms) ? terms : [];
}

function pins(home: Home, term: unknown): boolean {
  const expressions = at(term, ['matchExpressions']);
  if (!Array.isArray(expressions)) return false;
  return expressions.some((one: unknown) => {
    const values = at(one, ['values']);
    return (
      at(one, ['key']) === regionLabel &&
      at(one, ['operator']) === 'In' &&
      Array.isArray(values) &&
      values.length > 0 &&
      values.every((value: unknown) => typeof value === 'string' && isInCountry(home, value))
    );
  });
}

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (inner, key) =>
      typeof inner === 'object' && inner !== null
        ? Object.entries(inner).find(([name]) => name === key)?.[1]
        : undefined,
    value,
  );
}

function told({ country, regions }: Home): string {
  return `${country} (${regions.join(', ')})`;
}

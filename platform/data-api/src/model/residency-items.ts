import type { ResidencyAnswer } from '@domicile/core/answers/residency.ts';
import { type CountryCode, countryOfRegion } from '@domicile/core/countries.ts';
import { lowerCountry } from '@domicile/core/identities.ts';

export type ResidencyItem = ResidencyAnswer['items'][number];

interface BrokerSaid {
  readonly host: string;
  readonly port: number;
  readonly rack: string | null;
}

/** Each broker by where it says it is. An empty list of expected hosts or racks is not compared. */
export function brokerItems(
  brokers: readonly BrokerSaid[],
  expected: { readonly hosts: readonly string[]; readonly racks: readonly string[] },
): ResidencyItem[] {
  if (brokers.length === 0)
    return [{ what: 'kafka broker', where: 'nowhere', evidence: 'no broker answered', ok: false }];
  return brokers.map(({ host, port, rack }) => {
    const hostOk = expected.hosts.length === 0 || expected.hosts.includes(host);
    const rackOk = expected.racks.length === 0 || (rack !== null && expected.racks.includes(rack));
    const told = rack === null ? 'without a rack' : `in rack ${rack}`;
    const against = [
      expected.hosts.length > 0 && `hosts ${expected.hosts.join(', ')}`,
      expected.racks.length > 0 && `racks ${expected.racks.join(', ')}`,
    ].filter((one) => one !== false);
    const declared = against.length > 0 ? `declared: ${against.join(' and ')}` : 'nothing declared';
    return {
      what: 'kafka broker',
      where: `${host}:${port}`,
      evidence: `says it is ${told}; ${declared}`,
      ok: hostOk && rackOk,
    };
  });
}

/** A cell's cluster holds this country's topics alone; those of Kafka itself begin with `__`. */
export function topicItem(country: CountryCode, topics: readonly string[]): ResidencyItem {
  const prefix = `${lowerCountry(country)}.`;
  const foreign = topics.filter((topic) => !topic.startsWith(prefix) && !topic.startsWith('__'));
  return {
    what: 'kafka topics',
    where: `${prefix}*`,
    evidence: `${topics.length} topics are seen, ${foreign.length} of them of another prefix`,
    ok: topics.length > 0 && foreign.length === 0,
  };
}

/** What a process says of its country in its metrics, where every sample carries it. */
export function processItem(
  name: string,
  where: string,
  of: { country: CountryCode; metrics: string | undefined },
): ResidencyItem {
  if (of.metrics === undefined)
    return { what: `process ${name}`, where, evidence: 'does not answer', ok: false };
  const said = new Set(
    [...of.metrics.matchAll(/[{,]country="([A-Za-z]{2})"/g)].map(([, cc]) => cc),
  );
  const told = said.size === 0 ? 'no country' : [...said].join(', ');
  return {
    what: `process ${name}`,
    where,
    evidence: `its metrics say ${told}`,
    ok: said.size === 1 && said.has(of.country),
  };
}

export function lakeItem(of: {
  /** Undefined if there is no such folder. */
  realPath: string | undefined;
  declared: string | undefined;
}): ResidencyItem {
  const { realPath, declared } = of;
  if (realPath === undefined)
    return { what: 'lake', where: declared ?? 'unknown', evidence: 'cannot be found', ok: false };
  const isThere = declared === undefined || realPath === declared;
  const against = declared === undefined ? 'nothing declared' : `declared: ${declared}`;
  return {
    what: 'lake',
    where: realPath,
    evidence: `the folder is really there; ${against}`,
    ok: isThere,
  };
}

/** A bucket by the region that it says, which has to be of the country, and the declared one. */
export function bucketItem(of: {
  /** Lower case; undefined if the store does not tell. */
  location: string | undefined;
  declared: string | undefined;
  country: CountryCode;
}): ResidencyItem {
  const { location, declared, country } = of;
  if (location === undefined)
    return { what: 'lake', where: declared ?? 'unknown', evidence: 'cannot be found', ok: false };
  const isThere = declared === undefined || location === declared;
  const against = declared === undefined ? 'nothing declared' : `declared: ${declared}`;
  const lies = countryOfRegion(location);
  return {
    what: 'lake',
    where: location,
    evidence: `the bucket says so, a region of ${lies ?? 'no one country'}; ${against}`,
    ok: isThere && lies === country,
  };
}

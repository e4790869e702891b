import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ResidencyAnswer } from '@domicile/core/answers/residency.ts';
import type { CountryCode } from '@domicile/core/countries.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { isBuildingId } from '@domicile/core/identities.ts';
import { isResident } from '@domicile/core/residency.ts';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import type { Lake } from '@domicile/lake/open-lake.ts';
import { addRoute } from '@domicile/runtime/http-route.ts';
import { startLoop } from '@domicile/runtime/service.ts';
import { Router } from 'express';
import type { Door } from '../http/door.ts';
import { readQuery } from '../model/parameters.ts';
import { timeText } from '../model/period.ts';
import type { RegistryBook } from '../model/registry-book.ts';
import {
  brokerItems,
  bucketItem,
  lakeItem,
  processItem,
  type ResidencyItem,
  topicItem,
} from '../model/residency-items.ts';
import type { ServingEvents } from './events.ts';
import { describeCluster } from './kafka-cluster.ts';
import { cellPlaces, type CellPlaces } from './places.ts';

interface Proof {
  readonly client: ClientOptions;
  readonly country: CountryCode;
  readonly lake: Pick<Lake, 'dir' | 'locate'>;
  readonly places: CellPlaces | undefined;
  readonly everyMs: number;
  readonly registry: RegistryBook;
  readonly events: ServingEvents;
  readonly fail: (error: unknown) => void;
}

const probeTimeoutMs = 3_000;
/** Between proofs as long as something is not where it must be. */
const doubtMs = 5_000;

export interface ResidencyProof extends AsyncDisposable {
  /** `/v1/residency`. */
  routes(door: Door): Router;
}

/** Proves on a schedule where the parts of the cell are, and remembers the last proof. */
export function residencyProof(proof: Proof): ResidencyProof {
  let answer: ResidencyAnswer | undefined;
  const loop = startLoop(async (signal) => {
    while (true) {
      answer = await prove(proof);
      const failed = answer.items
        .filter(({ ok }) => !ok)
        .map(({ what, where }) => `${what} ${where}`);
      proof.events.residencyProved(answer.verified, failed);
      // What is only starting is looked at again soon.
      const waitMs = answer.verified ? proof.everyMs : Math.min(proof.everyMs, doubtMs);
      await sleep(waitMs, undefined, { signal });
    }
  }, proof.fail);
  return {
    routes(door) {
      const router = Router();
      addRoute(router, '/v1/residency', {
        GET: (request, response) => {
          door.claims(request, 'residency:read');
          readQuery({}, request.query);
          if (answer === undefined)
            throw new PlatformError(
              'UPSTREAM_UNAVAILABLE',
              'Cannot answer yet: the first proof runs',
            );
          response.json(answer);
        },
      });
      return router;
    },
    [Symbol.asyncDispose]: () => loop[Symbol.asyncDispose](),
  };
}

async function prove(proof: Proof): Promise<ResidencyAnswer> {
  const { country, registry } = proof;
  const places = proof.places ?? cellPlaces.parse({});
  const items = [
    ...(await kafkaItems(proof, places)),
    await storeItem(proof, places),
    registryItem(country, registry),
    ...(await processItems(country, places)),
  ];
  const verified = items.every(({ ok }) => ok);
  return { country, checkedAt: timeText(Date.now()), verified, items };
}

async function kafkaItems(
  { client, country }: Proof,
  places: CellPlaces,
): Promise<ResidencyItem[]> {
  try {
    const { brokers, topics } = await describeCluster(client);
    const expected = { hosts: places.kafkaHosts, racks: places.kafkaRacks };
    return [...brokerItems(brokers, expected), topicItem(country, topics)];
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    return [{ what: 'kafka', where: 'unknown', evidence: 'does not answer', ok: false }];
  }
}

async function storeItem({ lake, country }: Proof, places: CellPlaces): Promise<ResidencyItem> {
  const where = await lake.locate('serving').catch((error: unknown) => {
    if (error instanceof PlatformError) return undefined;
    throw error;
  });
  if (lake.dir === undefined)
    return bucketItem({ location: where, declared: places.lakeLocation, country });
  const declared = places.lakeRoot === undefined ? undefined : join(places.lakeRoot, 'serving');
  return lakeItem({ realPath: where, declared });
}

function registryItem(country: CountryCode, registry: RegistryBook): ResidencyItem {
  const all = [...registry.all()];
  const foreign = all.filter(
    (building) =>
      building.country !== country ||
      !isBuildingId(building.id) ||
      !isResident(country, building.id),
  );
  return {
    what: 'registry',
    where: country,
    evidence: `${all.length} buildings are declared, ${foreign.length} of them of another country`,
    ok: foreign.length === 0,
  };
}

function processItems(country: CountryCode, { processes }: CellPlaces): Promise<ResidencyItem[]> {
  return Promise.all(
    Object.entries(processes).map(async ([name, url]) => {
      const metrics = await fetch(`${url.replace(/\/$/, '')}/metrics`, {
        signal: AbortSignal.timeout(probeTimeoutMs),
      })
        .then((answer) => (answer.ok ? answer.text() : undefined))
        .catch(() => undefined);
      return processItem(name, url, { country, metrics });
    }),
  );
}

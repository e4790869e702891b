/** For tests: a landing zone of one range a day, and what its account says. */
import { parseCountryCode } from '@domicile/core/identities.ts';
import { LandedCountsReader } from './landed-counts.ts';
import { LandingContent } from './landing-content.ts';
import { LandingZone } from './landing-zone.ts';
import type { ObjectStore } from './object-store.ts';

const country = parseCountryCode('DE');
export const dayMs = 86_400_000;
export const startMs = Date.UTC(2026, 0, 1);
export const period = { building: 'de-a', fromMs: startMs, toMs: startMs + 40 * dayMs };
export const readingsEach = 10;

export interface LandedDays {
  readonly partition?: number;
  readonly everyMs?: number;
  /** In turn. */
  readonly buildings?: readonly string[];
  /** Called before a day lands, with its beginning. */
  readonly before?: (atMs: number) => void;
}

/** A range a day, of readings that were received as they were measured, in one hour or in several. Gives the files. */
export async function landDays(
  store: ObjectStore,
  days: number,
  { partition = 0, everyMs = 1000, buildings = ['de-a'], before }: LandedDays = {},
): Promise<string[]> {
  const zone = new LandingZone({ store, country, stream: 'readings' });
  const paths: string[] = [];
  for (let day = 0; day < days; day += 1) {
    before?.(startMs + day * dayMs);
    const first = BigInt(day * readingsEach);
    const content = new LandingContent({ country, stream: 'readings', partition, first });
    for (let index = 0; index < readingsEach; index += 1) {
      const atMs = startMs + day * dayMs + index * everyMs;
      const reading = {
        building: buildings[index % buildings.length],
        floor: '1',
        room: 'r101',
        device: 'r101-air',
        client: 'acme',
        type: 'air-quality',
        boot: 'b1',
        seq: day * readingsEach + index,
        measuredAtMs: atMs,
        receivedAtMs: atMs,
        timeSource: 'device',
        values: { co2: 400 },
        units: { co2: '[ppm]' },
      };
      content.add({ offset: first + BigInt(index), value: Buffer.from(JSON.stringify(reading)) });
    }
    const { files } = await zone.complete(await zone.take(content), content);
    paths.push(...files.map(({ path }) => path));
  }
  return paths;
}

export async function counts(store: ObjectStore): Promise<[landed: number, expired: number]> {
  const { landed, expired } = await new LandedCountsReader(store).read(period);
  return [landed, expired];
}

/** The end of the day by which so many days have been kept. */
export const afterDays = (days: number): number => startMs + days * dayMs - 1;

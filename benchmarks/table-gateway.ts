/** The lanes about the gateway agent, from what they wrote. */
import { z } from 'zod';
import { type Lane, ratio, verdict, whole } from './lane-table.ts';

const pair = z.object({ oursPerSecond: z.number(), floorPerSecond: z.number() });

const storeReport = z.object({
  rounds: z.number(),
  append: pair.extend({ readingsPerRound: z.number(), cpuSecondsPerMillion: z.number() }),
  drain: pair.extend({ readingsPerRound: z.number(), readingsPerMessage: z.number() }),
});

const row = (name: string, { oursPerSecond, floorPerSecond }: z.output<typeof pair>): string[] => [
  name,
  whole(oursPerSecond),
  whole(floorPerSecond),
  ratio(oursPerSecond, floorPerSecond),
];

export function gatewayStore(json: unknown): Lane {
  const { rounds, append, drain } = storeReport.parse(json);
  return {
    title: 'gateway-store',
    about: `The gateway agent's store and uplink, ${rounds} rounds by turns, medians. Appended: ${whole(append.readingsPerRound)} readings of three values numbered, checksummed, written and synced by group commit; the floor writes as many bytes with as many \`fdatasync\`. Drained: a packed backlog of ${whole(drain.readingsPerRound)} readings sent by a whole agent, QoS 1, to a server that only acks; the floor sends messages of ${drain.readingsPerMessage} readings, made before, by a bare loop.`,
    table: [
      ['readings/s', 'ours', 'floor', 'ratio'],
      row('appended and synced', append),
      row('backlog drained', drain),
    ],
    verdicts: [
      verdict(
        '100,000 readings/s appended and synced',
        append.oursPerSecond >= 100_000,
        `${whole(append.oursPerSecond)}, ${append.cpuSecondsPerMillion} s of processor for a million, packing included`,
      ),
      verdict(
        '20,000 readings/s of a backlog',
        drain.oursPerSecond >= 20_000,
        whole(drain.oursPerSecond),
      ),
    ],
  };
}

const monthReport = z.object({
  days: z.number(),
  readings: z.number(),
  gigabytes: z.number(),
  bytesPerReading: z.number(),
  readySeconds: z.number(),
  readyMegabytes: z.number(),
  sendingPeakMegabytes: z.number(),
  sentPerSecond: z.number(),
});

export function gatewayMonth(json: unknown): Lane {
  const read = monthReport.parse(json);
  const { gigabytes, readySeconds, sendingPeakMegabytes } = read;
  return {
    title: 'gateway-month',
    command: 'node benchmarks/gateway-store/month.ts',
    about: `An outage of ${read.days} days: 100 devices, a reading of three values every 10 s, ${whole(read.readings)} readings in the store; then an agent is started on it, as it is installed, and sends.`,
    table: [
      ['', 'measured'],
      ['on disk', `${gigabytes} GB, ${read.bytesPerReading} bytes a reading`],
      ['start until ready', `${readySeconds} s`],
      ['memory when ready', `${read.readyMegabytes} MB`],
      ['memory at most while it sends', `${sendingPeakMegabytes} MB`],
      ['sent meanwhile', `${whole(read.sentPerSecond)} readings/s`],
    ],
    verdicts: [
      verdict('30 days in under 3 GB', gigabytes < 3, `${gigabytes} GB`),
      verdict('a start in under 5 s', readySeconds < 5, `${readySeconds} s`),
      verdict('memory under 150 MB', sendingPeakMegabytes < 150, `${sendingPeakMegabytes} MB`),
    ],
  };
}

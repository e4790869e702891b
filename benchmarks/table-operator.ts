import { z } from 'zod';
import { type Lane, ratio, verdict, whole } from './lane-table.ts';

const scale = z.object({
  buildings: z.number(),
  releases: z.number(),
  devicesEach: z.number(),
  ready: z.object({
    seconds: z.number(),
    helmSeconds: z.number(),
    floorSeconds: z.number(),
    writes: z.number(),
  }),
  memoryMb: z.object({ idle: z.number(), ready: z.number(), peak: z.number() }),
  resync: z.object({ seconds: z.number(), writes: z.number() }),
});

export function operatorScale(json: unknown): Lane {
  const { buildings, releases, devicesEach, ready, memoryMb, resync } = scale.parse(json);
  return {
    title: 'operator-scale',
    about: `${whole(buildings)} Buildings of ${devicesEach} devices, installed by Helm in ${releases} releases, until all are Ready: on a real API server and Kafka, with the bucket emulator beside; the operator has the rights of its chart. The floor is as many bare writes to the API server, four at a time (${whole(ready.writes)}).`,
    table: [
      ['', 'seconds', 'floor', 'to floor'],
      [
        `${whole(buildings)} Buildings Ready`,
        `${ready.seconds}`,
        `${ready.floorSeconds}`,
        ratio(ready.seconds, ready.floorSeconds),
      ],
      ['of these, Helm', `${ready.helmSeconds}`, '', ''],
      ['a resync of all', `${resync.seconds}`, '', ''],
    ],
    verdicts: [
      verdict('all Ready in 3 minutes', ready.seconds < 180, `${ready.seconds} s`),
      verdict(
        'the operator under 250 MB',
        memoryMb.peak < 250,
        `${memoryMb.idle} MB idle, ${memoryMb.ready} MB with all, ${memoryMb.peak} MB at its peak`,
      ),
      verdict('a resync makes no write', resync.writes === 0, `${resync.writes} writes`),
    ],
  };
}

import { z } from 'zod';

/** Where the parts of a cell have to be, as its operator declared it. */
export const cellPlaces = z.object({
  /** Hosts and racks that brokers may say; empty: not compared. */
  kafkaHosts: z.array(z.string()).default([]),
  kafkaRacks: z.array(z.string()).default([]),
  /** The real path of the lake, if it is a folder. */
  lakeRoot: z.string().optional(),
  /** The region of its buckets, if it is in buckets. */
  lakeLocation: z.string().toLowerCase().optional(),
  /** Admin addresses of the processes by name. */
  processes: z.record(z.string(), z.url()).default({}),
});

export type CellPlaces = z.output<typeof cellPlaces>;

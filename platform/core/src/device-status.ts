import { z } from 'zod';

/** A record of the `device-status` stream; key: the building. */
export interface DeviceStatusRecord {
  readonly building: string;
  readonly device: string;
  readonly state: 'online' | 'offline';
  readonly at: string;
  readonly receivedAtMs: number;
}

/** Payload of `v1/{building}/{device}/status`. */
export const deviceStatusPayload = z.object({
  state: z.enum(['online', 'offline']),
  at: z.union([z.string().max(64), z.number()]).optional(),
});

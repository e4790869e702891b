import { z } from 'zod';

export const commandStates = [
  'accepted',
  'delivered',
  'applying',
  'applied',
  'failed',
  'expired',
  'unknown',
] as const;
export type CommandState = (typeof commandStates)[number];

export type SettableValue = number | boolean | string;

/** A record of the `commands` stream, and with `id`, `set`, `expiresAt` the payload that goes down to the gateway. */
export interface CommandRecord {
  readonly id: string;
  readonly building: string;
  readonly device: string;
  readonly set: Readonly<Record<string, SettableValue>>;
  /** RFC 3339. */
  readonly expiresAt: string;
  readonly acceptedAtMs: number;
  /** The subject of the token that asked for it. */
  readonly by: string;
  /** The sender's `Idempotency-Key`, so that a repeat finds its command. */
  readonly idempotencyKey: string | null;
}

/** A record of the `command-states` stream, and the payload that comes up. */
export interface CommandStateRecord {
  readonly id: string;
  readonly building: string;
  readonly device: string;
  readonly state: CommandState;
  /** RFC 3339. */
  readonly at: string;
  readonly reason?: string;
}

/** What a gateway may say. `accepted` is the cell's own word. */
export const commandStatePayload = z.object({
  id: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/),
  state: z.enum(['delivered', 'applying', 'applied', 'failed', 'expired', 'unknown']),
  at: z.union([z.string().max(64), z.number()]),
  reason: z.string().max(256).optional(),
});

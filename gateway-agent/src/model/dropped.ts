import { z } from 'zod';

/** Why numbers will never come: cut by recovery, unreadable on disk, no room for them, too old, or an operator's word. */
export type DropReason = 'cut' | 'unreadable' | 'store-full' | 'too-old' | 'operator';

/** Numbers `from` up to and with `to` of one run of one device. */
export interface Dropped {
  readonly device: string;
  readonly boot: string;
  readonly from: number;
  readonly to: number;
  readonly reason: DropReason;
}

export const droppedSchema = z.object({
  device: z.string(),
  boot: z.string(),
  from: z.number(),
  to: z.number(),
  reason: z.enum(['cut', 'unreadable', 'store-full', 'too-old', 'operator']),
});

/** Adds to what is known as dropped; what touches is joined, what is known is not added twice. */
export function addDropped(known: readonly Dropped[], added: Dropped): readonly Dropped[] {
  const touches = (one: Dropped) =>
    one.device === added.device &&
    one.boot === added.boot &&
    one.reason === added.reason &&
    one.from <= added.to + 1 &&
    added.from <= one.to + 1;
  const touching = known.filter(touches);
  const joined = {
    ...added,
    from: Math.min(added.from, ...touching.map(({ from }) => from)),
    to: Math.max(added.to, ...touching.map(({ to }) => to)),
  };
  return [...known.filter((one) => !touches(one)), joined];
}

/** An operator's instruction: these numbers are dropped when their turn to be sent comes. */
export interface DropOrder {
  readonly device: string;
  /** Empty if the device had none yet: then of any. */
  readonly boot: string;
  readonly from: number;
  readonly to: number;
}

const numbers = {
  device: z.string(),
  from: z.number().int().min(0),
  to: z.number().int().min(0),
};

export const dropOrderSchema = z.object({ ...numbers, boot: z.string() });

/** What an operator sends; it is of the run that the device is in. */
export const dropRequestSchema = z
  .strictObject(numbers)
  .refine(({ from, to }) => from <= to, 'from must not be above to');

export function isOrdered(
  orders: readonly DropOrder[],
  { device, boot, seq }: { device: string; boot: string; seq: number },
): boolean {
  return orders.some(
    (one) =>
      one.device === device &&
      (one.boot === boot || one.boot === '') &&
      one.from <= seq &&
      seq <= one.to,
  );
}

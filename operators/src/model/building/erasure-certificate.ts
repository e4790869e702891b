import { z } from 'zod';
import type { ErasureEnds } from './erasure-step.ts';

const count = z.number().int().min(0);
const counts = z.object({ objects: count, rows: count, readings: count, missing: count });

/** What a certificate of erasure says; times are RFC 3339. */
export const erasureCertificateSchema = z.object({
  version: z.literal(1),
  building: z.string(),
  country: z.string(),
  /** Of the resource that was deleted. */
  id: z.string(),
  /** When its deletion was asked for, and since when its gateway was refused. */
  deletedAt: z.string(),
  refusedSince: z.string(),
  erasedAt: z.string(),
  verifiedAt: z.string(),
  /** Until then Kafka's log may have held it, and the store may have brought it back. */
  kafkaUntil: z.string(),
  softDeleteUntil: z.string(),
  /** By what it was erased from, both passes together. */
  erased: z.record(z.string(), counts),
  /** Copies that were asked for; they are not erased. */
  exported: z.object({ folder: z.string(), files: count, rows: count, missing: count }).optional(),
  issuedAt: z.string(),
});

export type ErasureCertificate = z.output<typeof erasureCertificateSchema>;

/** Of a pass, as the eraser has reported it. */
export interface PassReport {
  readonly finishedAt: string;
  readonly counts: Readonly<Record<string, z.output<typeof counts>>>;
  readonly export?: ErasureCertificate['exported'];
}

export function erasureCertificate(of: {
  readonly building: string;
  readonly country: string;
  readonly id: string;
  readonly deletedAtMs: number;
  readonly revokedAtMs: number;
  readonly nowMs: number;
  readonly ends: ErasureEnds;
  readonly erase: PassReport;
  readonly verify: PassReport;
  readonly exported?: ErasureCertificate['exported'];
}): ErasureCertificate {
  const { building, country, id, ends, erase, verify, exported } = of;
  return {
    version: 1,
    building,
    country,
    id,
    deletedAt: timeOf(of.deletedAtMs),
    refusedSince: timeOf(of.revokedAtMs),
    erasedAt: erase.finishedAt,
    verifiedAt: verify.finishedAt,
    kafkaUntil: timeOf(ends.kafkaUntilMs),
    softDeleteUntil: timeOf(ends.softDeleteUntilMs),
    erased: together(erase.counts, verify.counts),
    ...(exported && { exported }),
    issuedAt: timeOf(of.nowMs),
  };
}

/** What both passes have done to the same kind of thing. */
function together(
  first: PassReport['counts'],
  second: PassReport['counts'],
): ErasureCertificate['erased'] {
  const sum = { ...first };
  for (const [name, more] of Object.entries(second)) {
    const before = sum[name] ?? { objects: 0, rows: 0, readings: 0, missing: 0 };
    sum[name] = {
      objects: before.objects + more.objects,
      rows: before.rows + more.rows,
      readings: before.readings + more.readings,
      missing: before.missing + more.missing,
    };
  }
  return sum;
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

import { randomUUID } from 'node:crypto';
import { clientOptionsOf } from '@domicile/kafka/config.ts';
import { partitionOf } from '@domicile/kafka/partitioner.ts';
import { type ErasureReport, runErasurePass } from '@domicile/lake/erasure/erasure.ts';
import { lakeOptionsOf } from '@domicile/lake/lake-settings.ts';
import { openLake } from '@domicile/lake/open-lake.ts';
import { createLog } from '@domicile/runtime/log.ts';
import type { Logger } from 'pino';
import type { EraserConfig } from './config.ts';
import { eraseLatest } from './latest-erasure.ts';
import { untilForgotten } from './state-erasure.ts';

export interface EraserPorts {
  readonly signal: AbortSignal;
  readonly now?: () => number;
  readonly log?: Logger;
}

const none = { objects: 0, rows: 0, readings: 0, missing: 0 };

/** One pass of one erasure, as a process of its own with an identity of its own. What was done before is not done again. */
export async function runEraser(
  config: EraserConfig,
  { signal, now = Date.now, log = createLog('eraser') }: EraserPorts,
): Promise<ErasureReport> {
  const { CELL_COUNTRY: country, ERASER_BUILDING: building, ERASER_PASS: pass } = config;
  const partition = partitionOf(Buffer.from(building), config.ERASER_PARTITIONS);
  const { store } = await openLake(lakeOptionsOf(config));
  const kafka = { client: clientOptionsOf(config), country, building, partition };
  const report = await runErasurePass(
    {
      landing: store,
      serving: store,
      country,
      building,
      partition,
      id: config.ERASER_ID,
      nonce: randomUUID(),
      isExported: config.ERASER_EXPORT,
      signal,
    },
    pass,
    {
      graceMs: config.ERASER_GRACE_MS,
      now,
      ...(config.ERASER_SOFT_DELETE_DAYS !== undefined && {
        softDeleteDays: config.ERASER_SOFT_DELETE_DAYS,
      }),
      elsewhere: async (tally) => {
        await eraseLatest(kafka, async (devices) => {
          await tally.note('kafka/latest', 'all', { ...none, objects: devices });
          log.info({ building, devices }, 'Newest values are erased');
        });
        await untilForgotten(kafka, {
          signal,
          found: async (isHeld) => {
            await tally.note('kafka/state', 'all', { ...none, objects: isHeld ? 1 : 0 });
            if (isHeld) log.info({ building, partition }, 'Waits for the task to forget it');
          },
        });
      },
    },
  );
  const { counts, export: exported } = report;
  log.info({ building, pass, counts, exported }, 'Pass of an erasure done');
  return report;
}

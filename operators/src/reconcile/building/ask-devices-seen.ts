import { PlatformError } from '@domicile/core/errors.ts';
import { z } from 'zod';
import { adminPort } from '../../model/cell/workload.ts';
import type { CellInForce } from './cell-of.ts';

/** By building: devices of which a reading came lately. Throws `UPSTREAM_UNAVAILABLE`. */
export type AskDevicesSeen = (
  cell: CellInForce,
  signal: AbortSignal,
) => Promise<ReadonlyMap<string, number>>;

const askMsMax = 5_000;
/** 20,000 buildings with the longest ids take 1.5 MB. */
const answerBytesMax = 4 * 1024 * 1024;

const answerSchema = z.object({ seen: z.record(z.string(), z.number().int().min(0)) });

/** Asks whichever replica of the cell's serving API answers, at its admin port: there is no way to readings there. */
export const askServingApi: AskDevicesSeen = ({ spec }, signal) =>
  askDevicesSeen(`http://serving-api.${spec.namespace}.svc:${adminPort}/devices-seen`, signal);

export async function askDevicesSeen(
  url: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(askMsMax)]);
    const answer = await fetch(url, { signal: limit, redirect: 'error' });
    if (answer.status !== 200) {
      await answer.body?.cancel();
      throw new Error(`it answers ${answer.status}`);
    }
    const { seen } = answerSchema.parse(JSON.parse(await bodyOf(answer)));
    return new Map(Object.entries(seen));
  } catch (error) {
    signal.throwIfAborted();
    throw new PlatformError('UPSTREAM_UNAVAILABLE', `Cannot count devices: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

async function bodyOf({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > answerBytesMax) throw new Error('its answer is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function reasonOf(error: unknown): string {
  if (error instanceof z.ZodError || error instanceof SyntaxError) return 'its answer is none';
  const { cause } = error instanceof Error ? error : { cause: undefined };
  if (cause instanceof Error) return cause.message;
  return error instanceof Error ? error.message : 'the serving API gives no answer';
}

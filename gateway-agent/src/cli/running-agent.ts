import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { addressesFile } from '../addresses.ts';
import type { AgentConfig } from '../config.ts';
import { type StatusReport, statusReportSchema } from '../model/status-report.ts';

/** No agent answers where the configuration says. */
export class NoAgent extends Error {
  override readonly name = 'NoAgent';
}

const addressesSchema = z.object({ admin: z.string() });
const timeoutMs = 5000;

/** The admin address of the agent that was started last on this data directory; whether it answers is another question. */
export async function adminAddress({ dataDirectory }: AgentConfig): Promise<string | undefined> {
  const text = await readFile(join(dataDirectory, addressesFile), 'utf8').catch(() => '{}');
  const read = addressesSchema.safeParse(JSON.parse(text));
  return read.success ? read.data.admin : undefined;
}

/** Throws `NoAgent`. */
export async function askAgent(
  config: AgentConfig,
  path: string,
  { method = 'GET', waitMs = timeoutMs }: { method?: 'GET' | 'POST'; waitMs?: number } = {},
): Promise<Response> {
  const admin = await adminAddress(config);
  if (admin === undefined)
    throw new NoAgent(
      `No agent has run on ${config.dataDirectory}: start it by \`domicile-gateway run\` or \`systemctl start domicile-gateway\``,
    );
  return fetch(`${admin}${path}`, { method, signal: AbortSignal.timeout(waitMs) }).catch(
    (cause: unknown) => {
      throw new NoAgent(
        `No agent answers at ${admin}: it does not run, or it hangs; see \`systemctl status domicile-gateway\``,
        { cause },
      );
    },
  );
}

/** Throws `NoAgent`, also for an agent that speaks of itself in another way. */
export async function statusOfAgent(config: AgentConfig): Promise<StatusReport> {
  const response = await askAgent(config, '/status');
  const report = statusReportSchema.safeParse(await response.json().catch(() => undefined));
  if (report.success) return report.data;
  throw new NoAgent(`What answers at ${response.url} is no agent of this version`);
}

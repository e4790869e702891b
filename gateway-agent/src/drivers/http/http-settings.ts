import { z } from 'zod';
import { fieldsSchema, timeFieldSchema } from '../../model/fields.ts';
import { listenHost, listenPort, ms } from '../setting-types.ts';

export const httpSettings = z.strictObject({
  host: listenHost,
  port: listenPort.default(8088),
  tokensFile: z
    .string()
    .optional()
    .describe(
      'YAML, device: token, or sha256:{hex} of the token; absent, whoever reaches the port may send.',
    ),
  fields: fieldsSchema.optional(),
  time: timeFieldSchema.optional().describe('Where forms and flat objects have their time.'),
  requestsPerSecondMax: z
    .number()
    .min(0.01)
    .max(10_000)
    .default(50)
    .describe('Requests of one device; it may send as many at once after a pause.'),
  answerTimeoutMs: ms
    .default(30_000)
    .describe('How long a device may take to fetch a command, and then to say what became of it.'),
});

export function resolveHttpPaths(
  settings: z.output<typeof httpSettings>,
  at: (path: string) => string,
): z.output<typeof httpSettings> {
  const { tokensFile } = settings;
  return { ...settings, ...(tokensFile !== undefined && { tokensFile: at(tokensFile) }) };
}

import { z } from 'zod';
import { listenHost, listenPort } from '../setting-types.ts';

export const httpSettings = z.strictObject({
  host: listenHost,
  port: listenPort.default(8088),
  tokensFile: z
    .string()
    .optional()
    .describe('YAML, device: token; absent, whoever reaches the port may send.'),
});

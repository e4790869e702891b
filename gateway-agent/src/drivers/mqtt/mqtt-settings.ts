import { z } from 'zod';
import { listenHost, listenPort, ms } from '../setting-types.ts';

export const mqttSettings = z.strictObject({
  host: listenHost,
  port: listenPort.default(1883),
  passwordsFile: z
    .string()
    .optional()
    .describe('YAML, user name: password; absent, whoever reaches the port may send.'),
  answerTimeoutMs: ms
    .default(30_000)
    .describe('How long a device may take to say what became of a command.'),
});

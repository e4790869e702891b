import { z } from 'zod';
import { lanRulesSchema, namesSchema } from '../../model/lan-rule-schema.ts';
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
  rules: lanRulesSchema
    .default([])
    .describe('Devices with topics of their own: what their messages mean.'),
  names: namesSchema
    .default({})
    .describe('What devices are called in their topics: what stands for it in device ids.'),
  otherTopics: z
    .enum(['refuse', 'ignore', 'relay'])
    .optional()
    .describe(
      'Topics that are not the platform’s: refuse (default), ignore, or relay to who subscribes (default with rules).',
    ),
});

export function resolveMqttPaths(
  settings: z.output<typeof mqttSettings>,
  at: (path: string) => string,
): z.output<typeof mqttSettings> {
  const { passwordsFile } = settings;
  return { ...settings, ...(passwordsFile !== undefined && { passwordsFile: at(passwordsFile) }) };
}

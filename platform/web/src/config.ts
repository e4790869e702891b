import { z } from 'zod';

export const testSettings = z.object({
  DEMO_FILE: z
    .string()
    .default('.domicile/demo.json')
    .describe('Where the demo that browser tests look at describes itself'),
});

/** For tests only: the page itself reads `config.json`. */
export function readTestConfig(env: Readonly<Record<string, string | undefined>> = process.env) {
  return testSettings.parse(env);
}

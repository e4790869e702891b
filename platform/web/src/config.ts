import { z } from 'zod';

const testSettings = z.object({
  DEMO_FILE: z
    .string()
    .optional()
    .describe('What a running demo wrote of itself; without it, tests start a demo of their own'),
});

type Environment = Readonly<Record<string, string | undefined>>;

/** For tests only: the page itself reads `config.json`. */
export function readTestConfig(env: Environment = process.env) {
  return testSettings.parse(env);
}

/** The environment of a demo that keeps everything in `dir` and takes free ports. */
export function demoEnvironment(dir: string, env: Environment = process.env): Environment {
  const own = { DEMO_DIR: `${dir}/state`, DEMO_FILE: `${dir}/demo.json`, DEMO_WEB_PORT: '0' };
  return { ...env, ...own };
}

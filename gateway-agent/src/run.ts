import { runService } from '@domicile/runtime/service.ts';
import type { Logger } from 'pino';
import { startAgent } from './agent.ts';
import type { AgentConfig } from './config.ts';

/** The whole life of an agent's process: until SIGTERM or SIGINT, which let what was begun end; a second one ends it at once. */
export async function runGateway(config: AgentConfig, log?: Logger): Promise<void> {
  await runService((fail) => startAgent(config, fail, log ? { log } : {}));
}

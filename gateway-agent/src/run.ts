import { runService, terminationSignal } from '@domicile/runtime/service.ts';
import type { Logger } from 'pino';
import { startAgent } from './agent.ts';
import { type AgentConfig, readProcessInheritance } from './config.ts';
import type { Agent } from './running-agent.ts';

/** The whole life of an agent's process: until SIGTERM or SIGINT, which let what was begun end; a second one ends it at once. */
export async function runGateway(config: AgentConfig, log?: Logger): Promise<void> {
  // Whatever it writes is for its own user alone.
  process.umask(0o077);
  const ended = new AbortController();
  const inheritance = readProcessInheritance();
  let agent: Agent | undefined;
  // From the start on: an agent that is not there yet must not be ended by it.
  process.on('SIGUSR2', () => void agent?.upgrade().catch(() => undefined));
  const start = async (fail: (error: unknown) => void) => {
    agent = await startAgent(config, fail, { inheritance, ...(log && { log }) });
    void agent.handedOver.then(() => ended.abort());
    return agent;
  };
  await runService(start, AbortSignal.any([terminationSignal(), ended.signal]));
}

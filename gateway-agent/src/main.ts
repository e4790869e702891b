import { runService } from '@domicile/runtime/service.ts';
import { startAgent } from './agent.ts';
import { readConfig } from './config.ts';

const config = await readConfig();
await runService((fail) => startAgent(config, fail));

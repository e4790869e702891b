import { runService } from '@domicile/runtime/service.ts';
import { readConfig } from './serving/config.ts';
import { startServing } from './serving/start.ts';

const config = readConfig();
await runService((fail) => startServing(config, fail));

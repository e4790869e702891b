import { runService } from '@domicile/runtime/service.ts';
import { readConfig } from './config.ts';
import { startIdentity } from './start.ts';

const config = readConfig();
await runService((fail) => startIdentity(config, fail));

import { runService } from '@domicile/runtime/service.ts';
import { readConfig } from './lander/config.ts';
import { startLander } from './lander/start.ts';

const config = readConfig();
await runService((fail) => startLander(config, fail));

import { runService } from '@domicile/runtime/service.ts';
import { readConfig } from './raw/config.ts';
import { startRaw } from './raw/start.ts';

const config = readConfig();
await runService((fail) => startRaw(config, fail));

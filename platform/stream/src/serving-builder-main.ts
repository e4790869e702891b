import { runService } from '@domicile/runtime/service.ts';
import { readConfig } from './serving-builder/config.ts';
import { startServingBuilder } from './serving-builder/start.ts';

const config = readConfig();
await runService((fail) => startServingBuilder(config, fail));

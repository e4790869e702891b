import { runService } from '@domicile/runtime/service.ts';
import { readConfig } from './config.ts';
import { startCommands } from './start.ts';

const config = readConfig();
await runService((fail) => startCommands(config, fail));

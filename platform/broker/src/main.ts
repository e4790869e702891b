import { runService } from '@domicile/runtime/service.ts';
import { readConfig } from './config.ts';
import { startBroker } from './start.ts';

await runService((fail) => startBroker(readConfig(), fail));

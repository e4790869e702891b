import { runService } from '@domicile/runtime/service.ts';
import { readConfig } from './config.ts';
import { startGateway } from './start.ts';

const config = readConfig();
await runService(() => startGateway(config));

import { runService } from '@domicile/runtime/service.ts';
import { readWebConfig } from './config.ts';
import { startWeb } from './web-start.ts';

const config = readWebConfig();
await runService(() => startWeb(config));

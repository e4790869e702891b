import { runService } from '@domicile/runtime/service.ts';
import { readConfig } from './config.ts';
import { startIssuer } from './start.ts';

const config = readConfig();
await runService(() => startIssuer(config));

import { readConfig } from './config.ts';
import { runGateway } from './run.ts';

await runGateway(await readConfig());

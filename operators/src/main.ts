import { runService } from '@domicile/runtime/service.ts';
import { readConfig } from './config.ts';
import { reconcilersOf } from './reconcilers.ts';
import { startOperator } from './start.ts';

const config = readConfig();
await runService((fail) =>
  startOperator(config, fail, { reconcilers: (ports) => reconcilersOf(config, ports) }),
);

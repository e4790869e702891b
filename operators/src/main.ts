import { runService } from '@domicile/runtime/service.ts';
import { readConfig } from './config.ts';
import { reconcilersOf } from './reconcilers.ts';
import { startOperator } from './start.ts';

const lingerMsMax = 3_000;

const config = readConfig();
await runService((fail) =>
  startOperator(config, fail, { reconcilers: (ports) => reconcilersOf(config, ports) }),
);

// Where Kafka or the store is out of reach, a client may go on trying; nothing is left to be done by then.
setTimeout(() => process.kill(process.pid, 'SIGKILL'), lingerMsMax).unref();

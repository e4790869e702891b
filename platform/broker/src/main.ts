import { runService } from '@domicile/runtime/service.ts';
import { readConfig } from './config.ts';
import { startOpenBroker } from './messages/start-open.ts';
import { startBroker } from './start.ts';

const config = readConfig();
const start = config.topicPolicy === 'open' ? startOpenBroker : startBroker;
await runService((fail) => start(config, fail));

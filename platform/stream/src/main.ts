import { runService } from '@domicile/runtime/service.ts';
import { readConfig } from './task/config.ts';
import { startTasks } from './task/tasks.ts';

const config = readConfig();
await runService((fail) => startTasks(config, fail));

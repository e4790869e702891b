import { terminationSignal } from '@domicile/runtime/service.ts';
import { readConfig } from './eraser/config.ts';
import { runEraser } from './eraser/eraser.ts';

await runEraser(readConfig(), { signal: terminationSignal() });

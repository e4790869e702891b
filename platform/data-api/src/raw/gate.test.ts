import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { Gate } from './gate.ts';

setFlagsFromString('--expose-gc');
const collect: unknown = runInNewContext('gc');

test('work that looks at its signal now and then sees the deadline, whatever is collected meanwhile', async () => {
  const gate = new Gate({ runningMax: 1, waitingMax: 1, timeoutMs: 30 });
  const isLate = gate.run(new AbortController().signal, async (signal) => {
    for (let turn = 0; turn < 200 && !signal.aborted; turn += 1) {
      if (typeof collect === 'function') collect();
      await sleep(5);
    }
    return signal.aborted;
  });
  expect(await isLate).toBe(true);
});

/** The floor: the same transaction loop, which copies every record and knows nothing of it. Reads its options from IPC. */
import { once } from 'node:events';
import { ExactlyOnceTask } from '@domicile/kafka/exactly-once-task.ts';
import type { InputRecord, OutputRecord } from '@domicile/kafka/records.ts';
import { z } from 'zod';

const optionsSchema = z.object({
  bootstrap: z.array(z.string()),
  username: z.string(),
  password: z.string(),
  input: z.string(),
  output: z.string(),
});
const [message]: unknown[] = await once(process, 'message');
const { bootstrap, username, password, input, output } = optionsSchema.parse(message);

function copyOf({ key, value, partition }: InputRecord): OutputRecord {
  return { topic: output, partition, ...(key && { key }), ...(value && { value }) };
}

const task = new ExactlyOnceTask({
  client: {
    bootstrapBrokers: bootstrap,
    sasl: { mechanism: 'SCRAM-SHA-256', username, password },
  },
  groupId: 'task-copy',
  instanceId: 'copy',
  inputs: [{ name: input }],
  openPartition: () =>
    Promise.resolve({
      first: (records) => records.map(copyOf),
      complete: () => [],
      committed: () => {},
      close: () => {},
    }),
  commitIntervalMs: 200,
});
process.once('SIGTERM', () => task.stop());
await task.run();
if (process.connected) process.disconnect();

/** The bucket emulator as a process: `node main.ts --port 8085 --keys folder [--dir folder]`, until it is ended. */
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { GcsEmulator } from './gcs-emulator.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    keys: { type: 'string' },
    dir: { type: 'string' },
  },
});

await using emulator = await GcsEmulator.start({
  port: Number(values.port),
  ...(values.dir !== undefined && { dir: values.dir }),
  identities: [
    'lake-admin',
    'lake-writer',
    'lake-serving-reader',
    'lake-raw-reader',
    'lake-eraser',
  ],
  admins: ['lake-admin'],
});
if (values.keys !== undefined) await emulator.writeKeys(values.keys);
process.stdout.write(`${JSON.stringify({ url: emulator.url })}\n`);
await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);

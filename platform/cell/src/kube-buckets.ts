import { join } from 'node:path';
import { GcsEmulator } from '@domicile/devkit/gcs/gcs-emulator.ts';
import type { Ports } from './ports.ts';

/** The bucket store beside a cluster. */
export interface Bucket {
  readonly store: 'gcs';
  readonly url: string;
  /** By the name of the Secret: its content. */
  readonly credentials: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

const admin = 'lake-admin';
const identities = [admin, 'lake-writer', 'lake-serving-reader', 'lake-raw-reader', 'lake-eraser'];

export async function startBuckets(of: {
  readonly dir: string;
  readonly ports: Ports;
  readonly stack: AsyncDisposableStack;
}): Promise<Bucket> {
  const emulator = of.stack.use(
    await GcsEmulator.start({
      port: await of.ports.of('buckets'),
      dir: join(of.dir, 'buckets'),
      identities,
      admins: [admin],
    }),
  );
  const keys = identities.map(
    (name) => [name, { 'credentials.json': emulator.keyOf(name) }] as const,
  );
  return { store: 'gcs', url: emulator.url, credentials: Object.fromEntries(keys) };
}

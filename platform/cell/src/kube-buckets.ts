import { join } from 'node:path';
import type { CountryPack } from '@domicile/core/country-pack.ts';
import { GcsEmulator } from '@domicile/devkit/gcs/gcs-emulator.ts';
import { S3Server } from '@domicile/devkit/s3/s3-server.ts';
import type { Ports } from './ports.ts';

/** The bucket store beside a cluster. */
export interface Buckets {
  readonly store: 'gcs' | 's3';
  readonly url: string;
  /** By the name of the Secret: its content. */
  readonly credentials: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

interface BucketsOptions {
  readonly dir: string;
  readonly pack: CountryPack;
  readonly ports: Ports;
  readonly stack: AsyncDisposableStack;
}

const admin = 'lake-admin';
const identities = [admin, 'lake-writer', 'lake-serving-reader', 'lake-raw-reader', 'lake-eraser'];

/** As the country has it: of a cloud provider, or S3 where there are machines of one's own alone. */
export function startBuckets(options: BucketsOptions): Promise<Buckets> {
  const isOnPremises = options.pack.regions[0]?.startsWith('onprem-') === true;
  return isOnPremises ? startS3(options) : startGcs(options);
}

async function startGcs({ dir, ports, stack }: BucketsOptions): Promise<Buckets> {
  const emulator = stack.use(
    await GcsEmulator.start({
      port: await ports.of('buckets'),
      dir: join(dir, 'buckets'),
      identities,
      admins: [admin],
    }),
  );
  const credentials = byIdentity((name) => ({ 'credentials.json': emulator.keyOf(name) }));
  return { store: 'gcs', url: emulator.url, credentials };
}

/** That server asks for signatures and does not check rights. */
async function startS3({ stack }: BucketsOptions): Promise<Buckets> {
  const { url } = stack.use(await S3Server.start());
  const credentials = byIdentity((name) => ({ accessKeyId: name, secretAccessKey: name }));
  return { store: 's3', url, credentials };
}

function byIdentity(of: (name: string) => Readonly<Record<string, string>>) {
  return Object.fromEntries(identities.map((name) => [name, of(name)]));
}

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createAuthority, type KeyPair } from '@domicile/runtime/certificates.ts';

/** Files that only this user may read, made once and kept. */
export class Secrets {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  path(name: string): string {
    return join(this.#dir, name);
  }

  /** The path of a file with a random secret. */
  async secretFile(name: string): Promise<string> {
    await this.#once(name, () => randomBytes(32).toString('base64url'));
    return this.path(name);
  }

  async secret(name: string): Promise<string> {
    return (await readFile(await this.secretFile(name), 'utf8')).trim();
  }

  /** An authority of its own for each country. */
  async authority(name: string): Promise<KeyPair> {
    const [certificateName, keyName] = [`${name}.pem`, `${name}.key`];
    if (!existsSync(this.path(certificateName))) {
      const { certificate, key } = await createAuthority(name);
      await writePrivate(this.path(keyName), key);
      await writePrivate(this.path(certificateName), certificate);
    }
    return {
      certificate: await readFile(this.path(certificateName), 'utf8'),
      key: await readFile(this.path(keyName), 'utf8'),
    };
  }

  async #once(name: string, make: () => string): Promise<void> {
    if (!existsSync(this.path(name))) await writePrivate(this.path(name), `${make()}\n`);
  }
}

/** Whole or not at all. */
export async function writePrivate(file: string, content: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const passing = `${file}.${process.pid}.new`;
  await writeFile(passing, content, { mode: 0o600 });
  await rename(passing, file);
}

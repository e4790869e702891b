import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { PlatformError } from '@domicile/core/errors.ts';
import { assert } from '@domicile/core/invariants.ts';
import type { BrokerEvents } from '../events.ts';
import type { CertificateName } from './identity.ts';
import {
  isRevoked,
  noRevocations,
  readLists,
  readSerials,
  type Revocations,
} from './revocations.ts';

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile: string;
  /** Lists of revoked certificates, PEM. */
  readonly crlFile?: string;
  /** Serial numbers of revoked certificates, one a line. */
  readonly revokedFile?: string;
}

/** What a TLS server is made of. */
export interface ServerMaterial {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

export interface TlsMaterialOptions {
  readonly files: TlsFiles;
  /** How often the files are looked at. */
  readonly reloadEveryMs: number;
  readonly events: Pick<BrokerEvents, 'tlsLoaded' | 'tlsNotLoaded'>;
}

type Events = TlsMaterialOptions['events'];

/** Something made of files, replaced when they change and are good. */
class Part<Value> {
  readonly #files: readonly (string | undefined)[];
  readonly #make: (texts: readonly string[]) => Value | Promise<Value>;
  #seen: readonly string[] = [];
  #value: Value | undefined;
  #readable = true;

  constructor(
    files: readonly (string | undefined)[],
    make: (texts: readonly string[]) => Value | Promise<Value>,
  ) {
    this.#files = files;
    this.#make = make;
  }

  get value(): Value {
    assert(this.#value !== undefined, 'a part is read when it is loaded');
    return this.#value;
  }

  /** Whether it is another now. Throws `CONFIG_INVALID`, once for each content. */
  async load(): Promise<boolean> {
    const texts = await this.#read();
    if (!texts || same(texts, this.#seen)) return false;
    this.#seen = texts;
    this.#value = await this.#make(texts);
    return true;
  }

  /** Undefined: they are still not to be read. */
  async #read(): Promise<readonly string[] | undefined> {
    const before = this.#readable;
    try {
      const texts = await Promise.all(this.#files.map(textOf));
      this.#readable = true;
      return texts;
    } catch (error) {
      this.#readable = false;
      if (before) throw error;
      return undefined;
    }
  }
}

/**
 * Certificates and what is revoked, read again when their files change. The files are compared by their content, at an
 * interval: orchestrators replace a whole folder by a link, which file events miss. What cannot be used, as a new
 * certificate beside an old key, changes nothing and is told; what was loaded before still holds.
 */
export class TlsMaterial implements Disposable {
  readonly #server: Part<ServerMaterial & { readonly expiresAtMs: number }>;
  readonly #lists: Part<Pick<Revocations, 'listed' | 'nextUpdateMs'>>;
  readonly #serials: Part<ReadonlySet<string>>;
  readonly #events: Events;
  readonly #timer: NodeJS.Timeout;
  readonly #watchers: (() => void)[] = [];
  #loading = false;

  /** Throws `CONFIG_INVALID` if the files cannot be used. */
  static async open(options: TlsMaterialOptions): Promise<TlsMaterial> {
    const material = new TlsMaterial(options);
    try {
      for (const part of material.#parts) await part.load();
    } catch (error) {
      material[Symbol.dispose]();
      throw error;
    }
    return material;
  }

  private constructor({ files, reloadEveryMs, events }: TlsMaterialOptions) {
    const { certFile, keyFile, caFile, crlFile, revokedFile } = files;
    this.#server = new Part([certFile, keyFile, caFile], serverMaterial);
    // Signed by an authority, so read again with it.
    this.#lists = new Part([crlFile, caFile], ([lists = '', authorities = '']) =>
      crlFile === undefined ? noRevocations : readLists(lists, authorities),
    );
    this.#serials = new Part([revokedFile], ([serials = '']) => readSerials(serials));
    this.#events = events;
    this.#timer = setInterval(() => void this.reload(), reloadEveryMs).unref();
  }

  get #parts() {
    return [this.#server, this.#lists, this.#serials];
  }

  get server(): ServerMaterial {
    return this.#server.value;
  }

  /** Of the server's certificate, milliseconds since 1970. */
  get expiresAtMs(): number {
    return this.#server.value.expiresAtMs;
  }

  /** When the first of the lists of revoked certificates wants to be replaced, milliseconds since 1970. */
  get listsNextUpdateMs(): number | undefined {
    return this.#lists.value.nextUpdateMs;
  }

  isRevoked(certificate: CertificateName): boolean {
    return isRevoked(this.#revocations, certificate);
  }

  /** Called after each change. */
  changed(watcher: () => void): void {
    this.#watchers.push(watcher);
  }

  /** Looks at the files now. One part that cannot be used keeps no other from its change. */
  async reload(): Promise<void> {
    if (this.#loading) return;
    this.#loading = true;
    let changed = false;
    for (const part of this.#parts) {
      try {
        changed = (await part.load()) || changed;
      } catch (error) {
        this.#events.tlsNotLoaded(error);
      }
    }
    this.#loading = false;
    if (!changed) return;
    const { listed, serials } = this.#revocations;
    const expiresAt = new Date(this.expiresAtMs).toISOString();
    this.#events.tlsLoaded({ expiresAt, revoked: listed.size + serials.size });
    for (const watcher of this.#watchers) watcher();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  get #revocations(): Revocations {
    return { ...this.#lists.value, serials: this.#serials.value };
  }
}

async function textOf(file: string | undefined): Promise<string> {
  if (file === undefined) return '';
  return readFile(file, 'utf8').catch((error: unknown) => {
    throw new PlatformError('CONFIG_INVALID', `Cannot read ${file}`, { cause: error });
  });
}

function serverMaterial([cert = '', key = '', ca = '']: readonly string[]) {
  try {
    // Throws if the key is not the certificate's.
    createSecureContext({ cert, key, ca });
    return { cert, key, ca, expiresAtMs: Date.parse(new X509Certificate(cert).validTo) };
  } catch (error) {
    const message = 'Cannot use the certificate, key and authority: see the cause';
    throw new PlatformError('CONFIG_INVALID', message, { cause: error });
  }
}

function same(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((text, index) => text === other[index]);
}

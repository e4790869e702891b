import { mkdir, open, readFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

/** One certificate that was given. */
const lineSchema = z.object({
  at: z.string(),
  building: z.string(),
  gateway: z.string(),
  serial: z.string(),
  until: z.string(),
  /** SHA-256 of the public key, hex. */
  key: z.string(),
  /** Of a first enrolment: whose token is used by it. */
  tokenSha256: z.string().optional(),
});

export type Issued = z.output<typeof lineSchema>;

const fileName = 'issued.ndjson';

/**
 * What was issued, one line a certificate, on disk before the certificate leaves. A token is used once; the same key may come
 * with it again, since the answer may have been lost on its way.
 */
export class IssuedBook {
  readonly #file: string;
  /** By token: the key that it was used for. */
  readonly #used = new Map<string, string>();
  #writing: Promise<void> = Promise.resolve();

  static async open(stateDir: string): Promise<IssuedBook> {
    await mkdir(stateDir, { recursive: true, mode: 0o700 });
    const book = new IssuedBook(join(stateDir, fileName));
    const text = await readFile(book.#file, 'utf8').catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
      throw error;
    });
    // What a crash cut off was not answered for.
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    if (whole !== text) await truncate(book.#file, Buffer.byteLength(whole));
    for (const line of whole.split('\n').filter((one) => one !== ''))
      book.#take(lineSchema.parse(JSON.parse(line)));
    return book;
  }

  private constructor(file: string) {
    this.#file = file;
  }

  /** Whether this token may be used for this key. */
  admits(tokenSha256: string, key: string): boolean {
    const usedFor = this.#used.get(tokenSha256);
    return usedFor === undefined || usedFor === key;
  }

  /** Resolves when it is on disk. One after the other. */
  add(issued: Issued): Promise<void> {
    this.#take(issued);
    this.#writing = this.#writing
      .catch(() => undefined)
      .then(() => this.#append(`${JSON.stringify(issued)}\n`));
    return this.#writing;
  }

  #take({ tokenSha256, key }: Issued): void {
    if (tokenSha256 !== undefined) this.#used.set(tokenSha256, key);
  }

  async #append(text: string): Promise<void> {
    await using file = await open(this.#file, 'a', 0o600);
    await file.appendFile(text);
    await file.datasync();
  }
}

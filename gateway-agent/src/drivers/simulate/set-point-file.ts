import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { SetPoints } from '../../model/simulation/device-values.ts';
import { replaceFile } from '../../store/files.ts';

const fileName = 'set-points.json';

const keptSchema = z.record(
  z.string(),
  z.record(
    z.string(),
    z.object({
      value: z.union([z.number(), z.boolean(), z.string()]),
      before: z.number().optional(),
      sinceMs: z.number(),
    }),
  ),
);

/** What simulated devices were set to, on disk before a command is said to be applied. */
export class SetPointFile {
  readonly #directory: string;
  readonly #kept: Map<string, SetPoints>;
  #writing: Promise<void> = Promise.resolve();

  private constructor(directory: string, kept: Map<string, SetPoints>) {
    this.#directory = directory;
    this.#kept = kept;
  }

  /** What cannot be read is forgotten: a simulated device begins as a new one. */
  static async open(directory: string): Promise<SetPointFile> {
    await mkdir(directory, { recursive: true });
    const kept = await readFile(join(directory, fileName), 'utf8')
      .then((text) => keptSchema.parse(JSON.parse(text)))
      .catch(() => ({}));
    return new SetPointFile(directory, new Map(Object.entries(kept)));
  }

  of(device: string): SetPoints {
    return this.#kept.get(device) ?? {};
  }

  async set(device: string, setPoints: SetPoints): Promise<void> {
    this.#kept.set(device, setPoints);
    const write = () =>
      replaceFile(
        this.#directory,
        fileName,
        Buffer.from(JSON.stringify(Object.fromEntries(this.#kept))),
      );
    const written = this.#writing.then(write);
    this.#writing = written.catch(() => undefined);
    await written;
  }
}

import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { KubeCountry } from '@domicile/cell/kube-country.ts';
import { keyClient, parseGcsKey } from '@domicile/lake/gcs/gcs-key.ts';
import { z } from 'zod';

const pageSchema = z.object({
  items: z.array(z.object({ name: z.string() })).default([]),
  nextPageToken: z.string().optional(),
});

/** Buckets of Cloud Storage as their administrator sees them, by its JSON API alone. */
export class BucketFiles {
  readonly #url: string;
  readonly #authorization: string;

  static async open({ url, credentials }: KubeCountry['buckets']): Promise<BucketFiles> {
    const key = parseGcsKey(credentials['lake-admin']?.['credentials.json'] ?? '');
    const { token } = await keyClient(key).getAccessToken();
    return new BucketFiles(url, `Bearer ${token ?? ''}`);
  }

  private constructor(url: string, authorization: string) {
    this.#url = url;
    this.#authorization = authorization;
  }

  /** Everything that is live in it, by name. */
  async list(bucket: string): Promise<string[]> {
    const names: string[] = [];
    for (let after = ''; ;) {
      const page = await this.#ask('GET', `/storage/v1/b/${bucket}/o?pageToken=${after}`);
      const { items, nextPageToken } = pageSchema.parse(await page.json());
      names.push(...items.map(({ name }) => name));
      if (nextPageToken === undefined) return names;
      after = encodeURIComponent(nextPageToken);
    }
  }

  /** Throws if it is gone. */
  async read(bucket: string, name: string): Promise<Buffer> {
    const path = `/storage/v1/b/${bucket}/o/${encodeURIComponent(name)}?alt=media`;
    const answer = await this.#ask('GET', path);
    if (!answer.ok) throw new Error(`${bucket}/${name} is gone`);
    return Buffer.from(await answer.arrayBuffer());
  }

  /** Below a folder that is emptied first; what goes meanwhile is left out. */
  async copy(bucket: string, folder: string): Promise<void> {
    await rm(folder, { recursive: true, force: true });
    for (const name of await this.list(bucket)) {
      const content = await this.read(bucket, name).catch(() => undefined);
      if (content === undefined) continue;
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), content);
    }
  }

  /** With all that is in it, as a careless administrator does. */
  async remove(bucket: string): Promise<void> {
    for (const name of await this.list(bucket))
      await this.#ask('DELETE', `/storage/v1/b/${bucket}/o/${encodeURIComponent(name)}`);
    await this.#ask('DELETE', `/storage/v1/b/${bucket}`);
  }

  async #ask(method: string, path: string): Promise<Response> {
    const headers = { authorization: this.#authorization };
    const answer = await fetch(`${this.#url}${path}`, { method, headers });
    if (!answer.ok && answer.status !== 404) throw new Error(`${method} ${path}: ${answer.status}`);
    return answer;
  }
}

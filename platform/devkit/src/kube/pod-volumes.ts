import { mkdir, readdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ObjectData } from './pod-command.ts';
import {
  type ContainerSpec,
  fieldOf,
  type Pod,
  type VolumeSource,
  type VolumeSpec,
} from './pod-spec.ts';

export interface VolumesOptions {
  readonly pod: Pod;
  readonly podIp: string;
  /** The folder of the pod. */
  readonly dir: string;
  readonly data: ObjectData;
  /** A token of the pod's service account. */
  readonly token: (audience: string, expirationSeconds: number) => Promise<string>;
  readonly claimFolder: (claim: string) => string;
}

/** The folders of a pod's volumes, and what is written into them. */
export class PodVolumes {
  readonly #options: VolumesOptions;
  readonly #written = new Map<string, string>();
  #versions = 0;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: VolumesOptions) {
    this.#options = options;
  }

  /** Writes what has changed since, after what is being written; throws with what is missing. */
  write(): Promise<void> {
    const writing = this.#writing.then(() => this.#writeAll());
    this.#writing = writing.catch(() => undefined);
    return writing;
  }

  /** Whatever one volume lacks, the others follow. */
  async #writeAll(): Promise<void> {
    const missing: unknown[] = [];
    for (const volume of this.#options.pod.spec.volumes)
      await this.#writeVolume(volume).catch((error: unknown) => missing.push(error));
    if (missing.length > 0) throw missing[0];
  }

  /** Where each mount path of a container really is. */
  async foldersOf(container: ContainerSpec): Promise<Map<string, string>> {
    const folders = new Map<string, string>();
    for (const { name, mountPath, subPath } of container.volumeMounts) {
      const folder = join(this.#folder(name), subPath);
      const isWritable = !this.#written.has(name);
      if (subPath !== '' && isWritable) await mkdir(folder, { recursive: true });
      folders.set(mountPath.replace(/\/$/, ''), folder);
    }
    return folders;
  }

  /** After what is being written. */
  async remove(): Promise<void> {
    await this.#writing;
    await rm(this.#options.dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }

  #folder(name: string): string {
    const volume = this.#options.pod.spec.volumes.find((one) => one.name === name);
    const claim = volume?.persistentVolumeClaim?.claimName;
    return claim === undefined
      ? join(this.#options.dir, 'volumes', name)
      : this.#options.claimFolder(claim);
  }

  async #writeVolume(volume: VolumeSpec): Promise<void> {
    const folder = this.#folder(volume.name);
    await mkdir(folder, { recursive: true });
    const sources = sourcesOf(volume);
    if (sources.length === 0) return;
    const files = new Map<string, Buffer>();
    for (const source of sources) await this.#read(source, files);
    const state = JSON.stringify(
      [...files].map(([path, value]) => [path, value.toString('base64')]),
    );
    if (this.#written.get(volume.name) === state) return;
    this.#versions += 1;
    await publish(folder, `..${this.#versions}`, files);
    this.#written.set(volume.name, state);
  }

  async #read(source: VolumeSource, files: Map<string, Buffer>): Promise<void> {
    const { pod, podIp, data, token } = this.#options;
    for (const kind of ['secret', 'configMap'] as const) {
      const ref = source[kind];
      if (ref === undefined) continue;
      const held = data[kind](ref.name);
      if (held === undefined && !ref.optional) throw new Error(`${kind} "${ref.name}" not found`);
      const items = ref.items ?? Object.keys(held ?? {}).map((key) => ({ key, path: key }));
      for (const { key, path } of items) {
        const value = held?.[key];
        if (value !== undefined) files.set(path, value);
        else if (!ref.optional) throw new Error(`${kind} "${ref.name}" has no key ${key}`);
      }
    }
    for (const { path, fieldRef } of source.downwardAPI?.items ?? [])
      files.set(path, Buffer.from(fieldOf(pod, fieldRef?.fieldPath ?? '', podIp) ?? ''));
    const wanted = source.serviceAccountToken;
    if (wanted !== undefined)
      files.set(wanted.path, Buffer.from(await token(wanted.audience, wanted.expirationSeconds)));
  }
}

function sourcesOf(volume: VolumeSpec): readonly VolumeSource[] {
  const { secret, configMap, downwardAPI, projected } = volume;
  if (projected !== undefined) return projected.sources;
  if (secret !== undefined) return [{ secret: { ...secret, name: secret.secretName } }];
  if (configMap !== undefined) return [{ configMap }];
  return downwardAPI === undefined ? [] : [{ downwardAPI }];
}

/** As a real kubelet does it: all files of a volume change at once, by one symbolic link. */
async function publish(folder: string, version: string, files: Map<string, Buffer>): Promise<void> {
  const before = await readlink(join(folder, '..data')).catch(() => undefined);
  for (const [path, content] of files) {
    const file = join(folder, version, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content, { mode: 0o600 });
  }
  await mkdir(join(folder, version), { recursive: true });
  await symlink(version, join(folder, '..new'));
  await rename(join(folder, '..new'), join(folder, '..data'));
  const wanted = new Set([...files.keys()].map((path) => path.split('/')[0] ?? path));
  const present = await readdir(folder);
  for (const name of wanted)
    if (!present.includes(name)) await symlink(join('..data', name), join(folder, name));
  for (const name of present)
    if (!wanted.has(name) && !name.startsWith('..')) await rm(join(folder, name));
  if (before !== undefined) await rm(join(folder, before), { recursive: true, force: true });
}

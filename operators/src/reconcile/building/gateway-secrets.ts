import { createHash, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { PlatformError } from '@domicile/core/errors.ts';
import { z } from 'zod';
import type { BuildingResource } from '../../model/building/building-resource.ts';
import {
  credentialsDue,
  gatewayKeys,
  type GatewaySecret,
  gatewaySecretName,
  rotationsDone,
} from '../../model/building/gateway-credentials.ts';
import { secretKind } from '../../model/kinds.ts';
import type { Kube, KubeObject, Ref } from '../../runtime/kube.ts';
import { buildingLabel, labelsOf } from './labels.ts';

const derive = promisify<string, Buffer, number, { N: number; r: number; p: number }, Buffer>(
  scrypt,
);

/** The passwords are of 144 random bits: no cost makes them safer, and a thousand of them are made at once. */
const cost = { N: 4096, r: 8, p: 1 };
const passwordBytes = 18;
const tokenBytes = 24;
const checkedMax = 20_000;

/** What the registry and the issuer need of a building's credentials. */
export interface GatewayCredentials {
  readonly secret: string;
  readonly passwordHash: string;
  /** Hexadecimal. */
  readonly tokenSha256: string;
}

const secretSchema = z.object({
  metadata: z.object({
    resourceVersion: z.string(),
    labels: z.record(z.string(), z.string()).default({}),
    annotations: z.record(z.string(), z.string()).default({}),
  }),
  data: z.record(z.string(), z.string()).default({}),
});

/** The Secret beside each building by which its gateway comes in: made once, renewed when asked, never taken over. */
export class GatewaySecrets {
  readonly #kube: Kube;
  /** Password hashes that were compared with their password: hash → SHA-256 of the password. */
  readonly #checked = new Map<string, string>();

  constructor(kube: Kube) {
    this.#kube = kube;
  }

  /** `authority`: PEM, undefined if it is not there yet. Throws `OBJECT_EXISTS` if a Secret of that name is not ours. */
  async ensure(
    { name, namespace, annotations }: BuildingResource,
    authority: string | undefined,
  ): Promise<GatewayCredentials> {
    const ref = { name: gatewaySecretName(name), namespace };
    const present = readSecret(await this.#kube.get(secretKind, ref));
    if (present && present.labels[buildingLabel] !== name)
      throw new PlatformError(
        'OBJECT_EXISTS',
        `Cannot keep the credentials: there is a Secret ${ref.name} that is not the operator's; rename or delete it`,
      );
    const due = new Set(credentialsDue(annotations, present));
    const data = new Map(present?.data);
    data.set(gatewayKeys.building, name);
    if (authority !== undefined) data.set(gatewayKeys.authority, authority);
    if (due.has('password'))
      data.set(gatewayKeys.password, randomBytes(passwordBytes).toString('base64url'));
    if (due.has('token'))
      data.set(gatewayKeys.token, randomBytes(tokenBytes).toString('base64url'));
    const password = textOf(data, gatewayKeys.password);
    const passwordHash = await this.#hashOf(password, data.get(gatewayKeys.passwordHash));
    data.set(gatewayKeys.passwordHash, passwordHash);
    await this.#write({ ref, building: name, present, data, asked: annotations });
    const token = textOf(data, gatewayKeys.token);
    return {
      secret: ref.name,
      passwordHash,
      tokenSha256: sha256(token),
    };
  }

  /** Of the token that is there, hexadecimal; undefined if there is none of ours. */
  async tokenSha256(building: string, namespace: string): Promise<string | undefined> {
    const ref = { name: gatewaySecretName(building), namespace };
    const present = readSecret(await this.#kube.get(secretKind, ref));
    if (present?.labels[buildingLabel] !== building) return undefined;
    return sha256(textOf(present.data, gatewayKeys.token));
  }

  /** What is not there, or not ours, is left alone. */
  async remove(building: string, namespace: string): Promise<void> {
    const ref = { name: gatewaySecretName(building), namespace };
    const found = await this.#kube.get(secretKind, ref);
    const uid = found?.metadata.uid;
    if (!found || uid === undefined || found.metadata.labels?.[buildingLabel] !== building) return;
    await this.#kube.delete(secretKind, ref, { uid });
  }

  async #write(of: {
    ref: Ref;
    building: string;
    present: GatewaySecret | undefined;
    data: ReadonlyMap<string, string>;
    asked: Readonly<Record<string, string>>;
  }): Promise<void> {
    const { ref, building, present, data, asked } = of;
    const labels = labelsOf(building);
    const annotations = rotationsDone(asked);
    const encoded = Object.fromEntries(
      [...data].map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
    );
    if (!present) {
      await this.#kube.create(secretKind, {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { ...ref, labels, annotations },
        type: 'Opaque',
        data: encoded,
      });
      return;
    }
    const isSame =
      [...data].every(([key, value]) => present.data.get(key) === value) &&
      Object.entries(labels).every(([key, value]) => present.labels[key] === value) &&
      Object.entries(annotations).every(([key, value]) => present.annotations[key] === value);
    if (isSame) return;
    const { resourceVersion } = present;
    await this.#kube.patch(secretKind, ref, {
      metadata: { resourceVersion, labels, annotations },
      data: encoded,
    });
  }

  /** The hash that is there, if it is of this password. */
  async #hashOf(password: string, present: string | undefined): Promise<string> {
    const digest = sha256(password);
    if (present !== undefined && this.#checked.get(present) === digest) return present;
    const isRight = present !== undefined && (await matches(password, present));
    const hash = isRight ? present : await hashOf(password);
    if (this.#checked.size >= checkedMax) this.#checked.clear();
    this.#checked.set(hash, digest);
    return hash;
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function readSecret(object: KubeObject | undefined): GatewaySecret | undefined {
  if (!object) return undefined;
  const { metadata, data } = secretSchema.parse(object);
  const decoded = Object.entries(data).map(([key, value]): [string, string] => [
    key,
    Buffer.from(value, 'base64').toString(),
  ]);
  return { ...metadata, data: new Map(decoded) };
}

/** Who edits a Secret by hand often leaves a newline. */
function textOf(data: ReadonlyMap<string, string>, key: string): string {
  return (data.get(key) ?? '').trim();
}

/** `scrypt$N$r$p$salt$hash`, base64. */
async function hashOf(password: string): Promise<string> {
  const salt = randomBytes(16);
  const hash = await derive(password, salt, 32, cost);
  const { N, r, p } = cost;
  return ['scrypt', N, r, p, salt.toString('base64'), hash.toString('base64')].join('$');
}

async function matches(password: string, passwordHash: string): Promise<boolean> {
  const [, N, r, p, salt = '', hash = ''] = passwordHash.split('$');
  const wanted = Buffer.from(hash, 'base64');
  if (wanted.length === 0) return false;
  const costs = { N: Number(N), r: Number(r), p: Number(p) };
  const found = await derive(password, Buffer.from(salt, 'base64'), wanted.length, costs).catch(
    () => undefined,
  );
  return found !== undefined && timingSafeEqual(found, wanted);
}

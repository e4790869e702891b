import { createHash, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { PlatformError } from '@domicile/core/errors.ts';
import { z } from 'zod';
import type { BuildingResource } from '../../model/building/building-resource.ts';
import {
  type Credential,
  credentialFault,
  credentialsDue,
  gatewayKeys,
  type GatewaySecret,
  gatewaySecretName,
  type RefusedCredential,
  rotationsDone,
} from '../../model/building/gateway-credentials.ts';
import { secretKind } from '../../model/kinds.ts';
import type { Kube, KubeCache, KubeObject, Ref } from '../../runtime/kube.ts';
import { buildingLabel, labelsOf } from './labels.ts';

const derive = promisify<string, Buffer, number, { N: number; r: number; p: number }, Buffer>(
  scrypt,
);

/** The passwords are of 144 random bits: no cost makes them safer, and a thousand of them are made at once. */
const cost = { N: 4096, r: 8, p: 1 };
const passwordBytes = 18;
const tokenBytes = 24;
const checkedMax = 20_000;
const hashBegin = ['scrypt', cost.N, cost.r, cost.p, ''].join('$');

/** What the registry and the issuer need of a building's credentials. */
export interface GatewayCredentials {
  readonly secret: string;
  /** Null: no password lets anybody in. */
  readonly passwordHash: string | null;
  /** Hexadecimal. */
  readonly tokenSha256: string;
  /** Those that somebody wrote into the Secret and that are not taken. */
  readonly refused: readonly RefusedCredential[];
  /** Those that somebody took out of the Secret, so that others were made. */
  readonly replaced: readonly Credential[];
}

export interface CredentialsOf {
  readonly building: BuildingResource;
  /** PEM, undefined if it is not there yet. */
  readonly authority: string | undefined;
  readonly inForce: CredentialsInForce;
}

/** By which its gateway comes in now, whatever the Secret says. */
export interface CredentialsInForce {
  /** As the registry has it. */
  readonly passwordHash: string | null;
  /** As the issuer has it, hexadecimal. */
  readonly tokenSha256: string | undefined;
}

/** Of a token that nobody has. */
export const noTokenSha256 = '0'.repeat(64);

const secretSchema = z.object({
  metadata: z.object({
    resourceVersion: z.string(),
    labels: z.record(z.string(), z.string()).default({}),
    annotations: z.record(z.string(), z.string()).default({}),
  }),
  data: z.record(z.string(), z.string()).default({}),
});

const credentialNames: readonly Credential[] = ['password', 'token'];

/** The Secret beside each building by which its gateway comes in: made once, renewed when asked, never taken over. */
export class GatewaySecrets {
  readonly #kube: Kube;
  readonly #cache: KubeCache;
  /** Password hashes that were compared with their password: hash → SHA-256 of the password. */
  readonly #checked = new Map<string, string>();

  constructor(kube: Kube, cache: KubeCache) {
    this.#kube = kube;
    this.#cache = cache;
  }

  /** What somebody wrote there is taken if it is fit. Throws `OBJECT_EXISTS` if a Secret of that name is not ours. */
  async ensure({ building, authority, inForce }: CredentialsOf): Promise<GatewayCredentials> {
    const { name, namespace, annotations } = building;
    const ref = { name: gatewaySecretName(name), namespace };
    const present = readSecret(await this.#kube.get(secretKind, ref));
    if (present && present.labels[buildingLabel] !== name)
      throw new PlatformError(
        'OBJECT_EXISTS',
        `Cannot keep the credentials: there is a Secret ${ref.name} that is not the operator's; rename or delete it`,
      );
    const due = credentialsDue(annotations, present);
    const data = new Map(present?.data);
    data.set(gatewayKeys.building, name);
    if (authority !== undefined) data.set(gatewayKeys.authority, authority);
    for (const credential of due) data.set(gatewayKeys[credential], made(credential));
    const written = credentialNames.filter((one) => !due.includes(one));
    const refused =
      written.length === 0 ? [] : await this.#refused(ref, data, { inForce, written });
    const isRefused = (one: Credential) => refused.some(({ credential }) => credential === one);
    const passwordHash = isRefused('password')
      ? inForce.passwordHash
      : await this.#hashOf(textOf(data, gatewayKeys.password), data.get(gatewayKeys.passwordHash));
    if (passwordHash !== null) data.set(gatewayKeys.passwordHash, passwordHash);
    await this.#write({ ref, building: name, present, data, asked: annotations });
    return {
      secret: ref.name,
      passwordHash,
      tokenSha256: isRefused('token') ? noTokenSha256 : sha256(textOf(data, gatewayKeys.token)),
      refused,
      replaced: present ? due.filter((one) => textOf(present.data, gatewayKeys[one]) === '') : [],
    };
  }

  /** Of the token that is there, hexadecimal; undefined if there is none of ours. */
  async tokenSha256(building: string, namespace: string): Promise<string | undefined> {
    const ref = { name: gatewaySecretName(building), namespace };
    const present = readSecret(await this.#kube.get(secretKind, ref));
    if (present?.labels[buildingLabel] !== building) return undefined;
    const token = textOf(present.data, gatewayKeys.token);
    return credentialFault(token) === undefined ? sha256(token) : undefined;
  }

  /** What is not there, or not ours, is left alone. */
  async remove(building: string, namespace: string): Promise<void> {
    const ref = { name: gatewaySecretName(building), namespace };
    const found = await this.#kube.get(secretKind, ref);
    const uid = found?.metadata.uid;
    if (!found || uid === undefined || found.metadata.labels?.[buildingLabel] !== building) return;
    await this.#kube.delete(secretKind, ref, { uid });
  }

  /** What is not fit, or stands in another Secret as well: who has that one would have this one too. */
  async #refused(
    ref: Ref,
    data: ReadonlyMap<string, string>,
    // What was made just now is nobody else's, and is not compared with all others.
    { inForce, written }: { inForce: CredentialsInForce; written: readonly Credential[] },
  ): Promise<RefusedCredential[]> {
    const password = textOf(data, gatewayKeys.password);
    const token = textOf(data, gatewayKeys.token);
    const { passwordHash, tokenSha256 } = inForce;
    // Of two alike, the one in force was there first, and the other is its copy.
    const isPasswordOld = async () =>
      passwordHash !== null && (await this.#isOf(password, passwordHash));
    const isTokenOld = () => sha256(token) === tokenSha256;
    const faults = {
      password:
        credentialFault(password) ??
        (password === token ? 'it is the enrolment-token too' : undefined) ??
        ((await isPasswordOld()) ? undefined : this.#sharedWith(ref, password)),
      token: credentialFault(token) ?? (isTokenOld() ? undefined : this.#sharedWith(ref, token)),
    };
    return written.flatMap((credential) => {
      const why = faults[credential];
      return why === undefined ? [] : [{ credential, why }];
    });
  }

  #sharedWith(ref: Ref, text: string): string | undefined {
    const other = this.#cache.list(secretKind).find((secret) => {
      const { name, namespace, labels } = secret.metadata;
      if (labels?.[buildingLabel] === undefined) return false;
      if (name === ref.name && namespace === ref.namespace) return false;
      return [gatewayKeys.password, gatewayKeys.token].some((key) => textIn(secret, key) === text);
    });
    return other && `the Secret ${other.metadata.name} has the same`;
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
    // Keys of others may hold bytes that are no text: only what differs is written.
    const encoded = Object.fromEntries(
      [...data]
        .filter(([key, value]) => present?.data.get(key) !== value)
        .map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
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
      Object.keys(encoded).length === 0 &&
      Object.entries(labels).every(([key, value]) => present.labels[key] === value) &&
      Object.entries(annotations).every(([key, value]) => present.annotations[key] === value);
    if (isSame) return;
    const { resourceVersion } = present;
    await this.#kube.patch(secretKind, ref, {
      metadata: { resourceVersion, labels, annotations },
      data: encoded,
    });
  }

  /** The hash that is there, if it is of this password and costs what ours do. */
  async #hashOf(password: string, present: string | undefined): Promise<string> {
    const isOurs = present?.startsWith(hashBegin) === true;
    if (isOurs && (await this.#isOf(password, present))) return present;
    const hash = await hashOf(password);
    this.#note(hash, password);
    return hash;
  }

  async #isOf(password: string, hash: string): Promise<boolean> {
    if (this.#checked.get(hash) === sha256(password)) return true;
    const isRight = await matches(password, hash);
    if (isRight) this.#note(hash, password);
    return isRight;
  }

  #note(hash: string, password: string): void {
    if (this.#checked.size >= checkedMax) this.#checked.clear();
    this.#checked.set(hash, sha256(password));
  }
}

function made(credential: Credential): string {
  return randomBytes(credential === 'password' ? passwordBytes : tokenBytes).toString('base64url');
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

function textIn(secret: KubeObject, key: string): string | undefined {
  const { data } = secret;
  const value = data !== null && typeof data === 'object' ? Object.entries(data) : [];
  const [, text] = value.find(([name]) => name === key) ?? [];
  return typeof text === 'string' ? Buffer.from(text, 'base64').toString().trim() : undefined;
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

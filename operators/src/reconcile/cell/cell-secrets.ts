import { createHash, randomBytes } from 'node:crypto';
import { lowerCountry } from '@domicile/core/identities.ts';
import type { CellSpec } from '@domicile/core/resources/cell.ts';
import { type Principal, principals } from '@domicile/core/streams.ts';
import type { KafkaUser } from '@domicile/kafka/cell-diff.ts';
import { createAuthority, type KeyPair } from '@domicile/runtime/certificates.ts';
import { kafkaSecret, type LakeIdentity, lakeSecret } from '../../model/cell/access.ts';
import { authorityName, doorSecrets } from '../../model/cell/workloads.ts';
import { isServing, issueServer } from './certificates.ts';
import { digestOf, type SecretData, type SecretKeeper, type SecretRef } from './secret-keeper.ts';

/** On the Secret of a principal: a digest of the password that Kafka was told last. */
const setInKafka = 'domicile.dev/set-in-kafka';

/** Whose Secrets, and where they are. */
export interface Where {
  readonly keeper: SecretKeeper;
  readonly spec: CellSpec;
  readonly operatorNamespace: string;
  readonly nowMs: number;
}

/**
 * The authority is made once. It is kept beside the operator and copied to where the issuer reads it, so that neither a deleted
 * namespace nor a deleted Secret makes every gateway enrol anew.
 */
export async function keepAuthority(where: Where): Promise<KeyPair> {
  const { keeper, spec, operatorNamespace, nowMs } = where;
  const cc = lowerCountry(spec.country);
  const master = { name: `${authorityName}-${cc}`, namespace: operatorNamespace };
  const copy = { name: authorityName, namespace: spec.namespace };
  const { data } = await keeper.once(master, async () => {
    const left = (await keeper.read(copy))?.data;
    if (isKeyPair(left)) return left;
    const { certificate, key } = await createAuthority(`domicile-${cc}`, nowMs);
    return { 'tls.crt': certificate, 'tls.key': key };
  });
  const { 'tls.crt': certificate = '', 'tls.key': key = '' } = data;
  await keeper.hold(copy, { 'tls.crt': certificate, 'tls.key': key });
  return { certificate, key };
}

function isKeyPair(data: SecretData | undefined): data is SecretData {
  return data?.['tls.crt'] !== undefined && data['tls.key'] !== undefined;
}

/** Certificates of broker and issuer, renewed a month before they end. */
export async function keepServers(where: Where, authority: KeyPair): Promise<void> {
  const { spec } = where;
  const { host } = spec.broker;
  const { url } = spec.enrolment;
  const hosts = host === undefined ? [] : [host];
  const renewal = url === undefined ? [] : [new URL(url).hostname.replace(/^\[(.*)\]$/, '$1')];
  await keepServer(where, authority, { component: 'broker', hosts });
  const ofIssuer = [...new Set([...hosts, ...renewal])];
  await keepServer(where, authority, { component: 'issuer', hosts: ofIssuer });
}

async function keepServer(
  { keeper, spec, nowMs }: Where,
  authority: KeyPair,
  { component, hosts }: { readonly component: string; readonly hosts: readonly string[] },
): Promise<void> {
  const { namespace } = spec;
  const inside = [
    component,
    `${component}.${namespace}`,
    `${component}.${namespace}.svc`,
    `${component}.${namespace}.svc.cluster.local`,
  ];
  const all = [...inside, ...hosts];
  const ref = { name: `${component}-tls`, namespace };
  const { 'tls.crt': certificate = '', 'tls.key': key = '' } = (await keeper.read(ref))?.data ?? {};
  const found = { certificate, key };
  const pair = isServing(found, { authority: authority.certificate, hosts: all, nowMs })
    ? found
    : await issueServer(authority, { commonName: component, hosts: all }, nowMs);
  await keeper.hold(ref, {
    'tls.crt': pair.certificate,
    'tls.key': pair.key,
    'ca.crt': authority.certificate,
  });
}

/** By which each service knows the API gateway. */
export async function keepDoors({ keeper, spec }: Where): Promise<void> {
  for (const name of Object.values(doorSecrets))
    await keeper.once({ name, namespace: spec.namespace }, async () => ({ secret: secret() }));
}

function secret(): string {
  return randomBytes(32).toString('base64url');
}

/** A user of Kafka for each principal, with whether Kafka has to be told its password. */
export async function keepKafkaUsers(
  { keeper, spec }: Where,
  ca: string | undefined,
): Promise<KafkaUser[]> {
  const users: KafkaUser[] = [];
  for (const principal of principals) {
    const ref = kafkaRef(spec, principal);
    const made = await keeper.once(ref, async () => ({
      password: secret(),
      ...(ca !== undefined && { 'ca.crt': ca }),
    }));
    const password = made.data['password'] ?? '';
    const told = made.annotations[setInKafka];
    if (ca !== undefined && made.data['ca.crt'] !== ca)
      await keeper.hold(ref, { password, 'ca.crt': ca }, told === undefined ? {} : marks(told));
    users.push({ principal, password, renew: told !== digest(password) });
  }
  return users;
}

/**
 * Kafka has been told: it is not told again until the password is another. False if the Secret has another one by now, which is
 * left as it is.
 */
export async function rememberKafkaUser(
  { keeper, spec }: Where,
  user: KafkaUser,
  ca: string | undefined,
): Promise<boolean> {
  const { principal, password } = user;
  const ref = kafkaRef(spec, principal);
  if ((await keeper.read(ref))?.data['password'] !== password) return false;
  await keeper.hold(
    ref,
    { password, ...(ca !== undefined && { 'ca.crt': ca }) },
    marks(digest(password)),
  );
  return true;
}

function kafkaRef(spec: CellSpec, principal: Principal): SecretRef {
  return { name: kafkaSecret(principal), namespace: spec.namespace };
}

const marks = (told: string) => ({ [setInKafka]: told });

function digest(password: string): string {
  return createHash('sha256').update(password).digest('hex');
}

const lakeIdentities = {
  writer: 'writer',
  'serving-reader': 'servingReader',
  'raw-reader': 'rawReader',
  eraser: 'eraser',
} as const satisfies Record<LakeIdentity, keyof CellSpec['lake']['identities']>;

export const lakeKeys = {
  gcs: ['credentials.json'],
  s3: ['accessKeyId', 'secretAccessKey'],
} as const;

/** The credentials of each identity of the store, where the workloads read them. Throws `CONFIG_INVALID` if one is not there. */
export async function keepLakeIdentities(
  where: Where,
): Promise<ReadonlyMap<LakeIdentity, SecretData>> {
  const { keeper, spec, operatorNamespace } = where;
  const found = new Map<LakeIdentity, SecretData>();
  for (const identity of lakeIdentityNames) {
    const source = spec.lake.identities[lakeIdentities[identity]];
    const ref = { name: source, namespace: operatorNamespace };
    const data = await keeper.demand(ref, lakeKeys[spec.lake.store]);
    await keeper.hold({ name: lakeSecret(identity), namespace: spec.namespace }, data);
    found.set(identity, data);
  }
  return found;
}

export const lakeIdentityNames: readonly LakeIdentity[] = [
  'writer',
  'serving-reader',
  'raw-reader',
  'eraser',
];

export function lakeAdminRef({ spec, operatorNamespace }: Where): SecretRef {
  return { name: spec.lake.identities.admin, namespace: operatorNamespace };
}

/** Digests of the Secrets that processes read only at their start. */
export async function digestsOf({ keeper, spec }: Where): Promise<ReadonlyMap<string, string>> {
  const names = [
    authorityName,
    'issuer-tls',
    ...Object.values(doorSecrets),
    ...principals.map(kafkaSecret),
    ...lakeIdentityNames.map(lakeSecret),
  ];
  const digests = new Map<string, string>();
  for (const name of names) {
    const found = await keeper.read({ name, namespace: spec.namespace });
    if (found) digests.set(name, digestOf(found.data));
  }
  return digests;
}

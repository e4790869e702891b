import type { CellSpec } from '@domicile/core/resources/cell.ts';
import type { Principal } from '@domicile/core/streams.ts';

export interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly fieldRef: { readonly fieldPath: string } };
}

export interface Volume {
  readonly name: string;
  readonly [source: string]: unknown;
}

export interface VolumeMount {
  readonly name: string;
  readonly mountPath: string;
  readonly readOnly?: boolean;
}

/** What a container needs to reach something: settings, and files that they name. */
export interface Access {
  readonly env: readonly EnvVar[];
  readonly volumes: readonly Volume[];
  readonly mounts: readonly VolumeMount[];
  /** Secrets that the process reads only at its start. */
  readonly readAtStart: readonly string[];
}

export type LakeIdentity = 'writer' | 'serving-reader' | 'raw-reader' | 'eraser';
export type LakeBucket = 'landing' | 'serving';

const root = '/var/run/domicile';

export const kafkaSecret = (principal: Principal): string => `kafka-${principal}`;
export const lakeSecret = (identity: LakeIdentity): string => `lake-${identity}`;

export function variables(values: Readonly<Record<string, string | undefined>>): EnvVar[] {
  return Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [{ name, value }],
  );
}

/** A Secret as files below `/var/run/domicile/{name}`, for the process's user alone. */
export function secretFiles(name: string, options: { readonly atStart: boolean }): Access {
  return {
    env: [],
    // 0440: the group is the pod's fsGroup.
    volumes: [{ name, secret: { secretName: name, defaultMode: 0o440 } }],
    mounts: [{ name, mountPath: `${root}/${name}`, readOnly: true }],
    readAtStart: options.atStart ? [name] : [],
  };
}

export function configFiles(name: string): Access {
  return {
    env: [],
    volumes: [{ name, configMap: { name } }],
    mounts: [{ name, mountPath: `${root}/${name}`, readOnly: true }],
    readAtStart: [],
  };
}

/** Where a file of a Secret or ConfigMap stands in the container. */
export function pathOf(name: string, key: string): string {
  return `${root}/${name}/${key}`;
}

/** Kafka as one principal. `hasCa`: Kafka speaks TLS, and the Secret holds its authority. */
export function kafkaAccess(
  spec: CellSpec,
  principal: Principal,
  { hasCa }: { readonly hasCa: boolean },
): Access {
  const secret = kafkaSecret(principal);
  return {
    ...secretFiles(secret, { atStart: true }),
    env: variables({
      KAFKA_BOOTSTRAP: spec.kafka.bootstrap,
      KAFKA_USER: principal,
      KAFKA_PASSWORD_FILE: pathOf(secret, 'password'),
      KAFKA_CA_FILE: hasCa ? pathOf(secret, 'ca.crt') : undefined,
    }),
  };
}

/** The store as one identity, with a way to these buckets and to no other. */
export function lakeAccess(
  { lake }: CellSpec,
  identity: LakeIdentity,
  buckets: readonly LakeBucket[],
): Access {
  const secret = lakeSecret(identity);
  const credentials =
    lake.store === 'gcs'
      ? { LAKE_CREDENTIALS_FILE: pathOf(secret, 'credentials.json') }
      : {
          LAKE_ACCESS_KEY_ID_FILE: pathOf(secret, 'accessKeyId'),
          LAKE_SECRET_ACCESS_KEY_FILE: pathOf(secret, 'secretAccessKey'),
        };
  return {
    ...secretFiles(secret, { atStart: true }),
    env: variables({
      LAKE_STORE: lake.store,
      LAKE_ENDPOINT: lake.endpoint,
      LAKE_REGION: lake.region,
      LAKE_LANDING_BUCKET: buckets.includes('landing') ? lake.landingBucket : undefined,
      LAKE_SERVING_BUCKET: buckets.includes('serving') ? lake.servingBucket : undefined,
      ...credentials,
    }),
  };
}

/** An empty folder of the pod's own. */
export function scratch(name: string, mountPath: string, sizeLimit: string): Access {
  return {
    env: [],
    volumes: [{ name, emptyDir: { sizeLimit } }],
    mounts: [{ name, mountPath }],
    readAtStart: [],
  };
}

export function settings(values: Readonly<Record<string, string | undefined>>): Access {
  return { env: variables(values), volumes: [], mounts: [], readAtStart: [] };
}

/** Settings that take the pod's own address: on one machine each pod has another. */
export function listensAt(...names: readonly string[]): Access {
  return {
    env: names.map((name) => ({ name, valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } })),
    volumes: [],
    mounts: [],
    readAtStart: [],
  };
}

export function together(...all: readonly Access[]): Access {
  return {
    env: all.flatMap(({ env }) => env),
    volumes: all.flatMap(({ volumes }) => volumes),
    mounts: all.flatMap(({ mounts }) => mounts),
    readAtStart: all.flatMap(({ readAtStart }) => readAtStart),
  };
}

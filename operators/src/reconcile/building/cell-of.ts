import type { CountryCode } from '@domicile/core/countries.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { type CellSpec, parseCellSpec } from '@domicile/core/resources/cell.ts';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import { kafkaSecret } from '../../model/cell/access.ts';
import { cellKind, secretKind } from '../../model/kinds.ts';
import type { Kube, KubeCache, KubeObject } from '../../runtime/kube.ts';

/** The cell that serves this cluster. */
export interface CellInForce {
  readonly name: string;
  readonly spec: CellSpec;
  readonly object: KubeObject;
}

/** In the cell's namespace, PEM: the Secret has `tls.crt` and `tls.key` of its authority, the ConfigMap `ca.crt`. */
export const authorityName = 'cell-authority';

const principal = 'operator';

/** The oldest one of the operator's country that can be read; undefined if there is none. */
export function cellInForce(cache: KubeCache, country: CountryCode): CellInForce | undefined {
  const all = cache
    .list(cellKind)
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .toSorted((a, b) =>
      `${a.metadata.creationTimestamp} ${a.metadata.name}` <
      `${b.metadata.creationTimestamp} ${b.metadata.name}`
        ? -1
        : 1,
    );
  for (const object of all) {
    const spec = specOf(object);
    if (spec?.country === country) return { name: object.metadata.name, spec, object };
  }
  return undefined;
}

function specOf({ spec }: KubeObject): CellSpec | undefined {
  try {
    return parseCellSpec(spec);
  } catch (error) {
    // The cell's own conditions tell what is wrong with it.
    if (error instanceof PlatformError) return undefined;
    throw error;
  }
}

/** With the rights of the principal `operator`, which the cell makes. Throws `UPSTREAM_UNAVAILABLE` while it has not. */
export async function kafkaClientOf(kube: Kube, { spec }: CellInForce): Promise<ClientOptions> {
  const { namespace } = spec;
  const name = kafkaSecret(principal);
  const data = await secretData(kube, { name, namespace });
  const [password, ca] = ['password', 'ca.crt'].map((key) => data?.get(key));
  if (password === undefined)
    throw new PlatformError(
      'UPSTREAM_UNAVAILABLE',
      `Cannot reach Kafka: the cell has not made the Secret ${name} in ${namespace} yet; see the conditions of the Cell`,
    );
  return {
    bootstrapBrokers: spec.kafka.bootstrap.split(','),
    sasl: { mechanism: 'SCRAM-SHA-256', username: principal, password: password.trim() },
    ...(ca !== undefined && { tls: { ca } }),
  };
}

/** Decoded; undefined if there is no such Secret. */
export async function secretData(
  kube: Kube,
  ref: { name: string; namespace: string },
): Promise<Map<string, string> | undefined> {
  const secret = await kube.get(secretKind, ref);
  if (!secret) return undefined;
  const data = secret['data'];
  const entries = data !== null && typeof data === 'object' ? Object.entries(data) : [];
  return new Map(
    entries.flatMap(([key, value]): [string, string][] =>
      typeof value === 'string' ? [[key, Buffer.from(value, 'base64').toString()]] : [],
    ),
  );
}

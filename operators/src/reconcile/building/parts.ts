import { PlatformError } from '@domicile/core/errors.ts';
import type { BuildingFindings } from '../../model/building/building-conditions.ts';
import { conditionsOf, findingsUntil } from '../../model/building/building-conditions.ts';
import { enrolmentSecretName, enrolmentShardOf } from '../../model/building/enrolment.ts';
import { buildingKind, configMapKind, secretKind } from '../../model/kinds.ts';
import type { Kube, KubeObject } from '../../runtime/kube.ts';
import type { OperatorPorts } from '../../runtime/ports.ts';
import { authorityName, type CellInForce } from './cell-of.ts';
import { EnrolmentDesk, tokenIn } from './enrolment-desk.ts';
import { GatewaySecrets } from './gateway-secrets.ts';
import { Registries } from './registries.ts';
import type { OpenRegistry } from './registry-desk.ts';

const authorityKeptMs = 30_000;

/** What onboarding and offboarding share. */
export class BuildingParts implements AsyncDisposable {
  readonly ports: OperatorPorts;
  readonly registries: Registries;
  readonly secrets: GatewaySecrets;
  readonly #enrolments = new Map<string, EnrolmentDesk>();
  #authority: { readonly readAtMs: number; readonly pem: string } | undefined;

  constructor(ports: OperatorPorts, openRegistry: OpenRegistry) {
    this.ports = ports;
    this.registries = new Registries(ports, openRegistry);
    this.secrets = new GatewaySecrets(ports.kube, ports.cache);
  }

  enrolments({ spec }: CellInForce): EnrolmentDesk {
    const { namespace } = spec;
    const found = this.#enrolments.get(namespace);
    if (found) return found;
    const desk = new EnrolmentDesk(this.ports.kube, namespace);
    this.#enrolments.set(namespace, desk);
    return desk;
  }

  /** The digest of the token by which its gateway enrols, as it was a moment ago. */
  enrolledToken({ spec }: CellInForce, building: string): string | undefined {
    const { namespace } = spec;
    const name = enrolmentSecretName(enrolmentShardOf(building));
    return tokenIn(this.ports.cache.get(secretKind, { name, namespace }), building);
  }

  /** Of a Secret of enrolments that has changed: whose entries are not as they were left. */
  driftedEnrolments(secret: KubeObject, isGone: boolean): ReadonlySet<string> {
    const { namespace = '' } = secret.metadata;
    return this.#enrolments.get(namespace)?.drifted(secret, isGone) ?? new Set();
  }

  /** The certificate of the cell's authority, PEM, as it was a moment ago; undefined while there is none. */
  async authority({ spec }: CellInForce): Promise<string | undefined> {
    const nowMs = this.ports.now();
    const kept = this.#authority;
    if (kept && nowMs - kept.readAtMs <= authorityKeptMs) return kept.pem;
    const pem = await authorityOf(this.ports.kube, spec.namespace);
    // That there is none is asked again by whoever comes next.
    this.#authority = pem === undefined ? undefined : { readAtMs: nowMs, pem };
    return pem;
  }

  async writeStatus(
    seen: KubeObject,
    found: Partial<BuildingFindings>,
    fields: Readonly<Record<string, unknown>> = {},
  ): Promise<KubeObject> {
    const conditions = conditionsOf(findingsUntil(found));
    return this.ports.status.write(buildingKind, seen, { conditions, fields });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.registries[Symbol.asyncDispose]();
  }
}

async function authorityOf(kube: Kube, namespace: string): Promise<string | undefined> {
  const found = await kube.get(configMapKind, { name: authorityName, namespace });
  const data = found?.['data'];
  if (data === null || typeof data !== 'object' || !('ca.crt' in data)) return undefined;
  const pem = data['ca.crt'];
  return typeof pem === 'string' ? pem : undefined;
}

/** Another process leads, or the object has changed: nothing is said of that, it is looked at again anyway. */
export function isOvertaken(error: unknown): boolean {
  return error instanceof PlatformError && (error.code === 'FENCED' || error.code === 'CONFLICT');
}

import type { PlatformError } from '@domicile/core/errors.ts';
import { parseCountryCode } from '@domicile/core/identities.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { Registry as Metrics } from 'prom-client';
import {
  type PublicationRequest,
  publicationOf,
  type RegistryEntry,
} from '../../model/building/publication.ts';
import { buildingKind, cellKind, configMapKind, secretKind } from '../../model/kinds.ts';
import type { KubeObject, Ref } from '../../runtime/kube.ts';
import type { OperatorPorts } from '../../runtime/ports.ts';
import type { Outcome } from '../../runtime/reconciler.ts';
import { type BuildingReconcilerOptions, createBuildingReconciler } from './reconciler.ts';
import type { Published, Registry } from './registry-desk.ts';
import { MemoryKube } from './test-kube.ts';

export const operatorNamespace = 'domicile-system';
export const cellNamespace = 'domicile';

/** A registry in memory that keeps what is published by the same rules. */
export class MemoryRegistry implements Registry {
  readonly entries = new Map<string, RegistryEntry>();
  readonly written: { readonly building: string; readonly value: string | null }[] = [];
  isBroken = false;
  now: () => number = () => 0;
  failing: PlatformError | undefined;

  entry(building: string): RegistryEntry | undefined {
    return this.entries.get(building);
  }

  async publish(request: PublicationRequest): Promise<Published> {
    if (this.failing) throw this.failing;
    const { building, claim, record, sinceMs = this.now() } = request;
    const publication = publicationOf(request, this.entries.get(building));
    if (publication.kind === 'same') return { kind: 'same', at: '0/1' };
    if (publication.kind !== 'write') return publication;
    const { value } = publication;
    this.written.push({ building, value });
    if (value === null || record === null) this.entries.delete(building);
    else {
      const { client, state, passwordHash } = record;
      this.entries.set(building, {
        value,
        client,
        state,
        passwordHash,
        claim,
        sinceMs,
      });
    }
    return { kind: 'written', at: '0/1' };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isBroken = true;
  }
}

export const buildingSpec = {
  country: 'DE',
  client: 'acme',
  timeZone: 'Europe/Berlin',
  roomTypes: { office: { air: 'air-quality' } },
  floors: { '1': { rooms: { 'r1[01-03]': { type: 'office' } } } },
};

export const cellSpec = {
  country: 'DE',
  regions: ['europe-west3', 'europe-west10'],
  kafka: { bootstrap: 'kafka:9092' },
  lake: {
    store: 'gcs',
    region: 'europe-west3',
    landingBucket: 'de-landing',
    servingBucket: 'de-serving',
  },
  api: { issuer: 'https://id.example.org', jwks: 'https://id.example.org/jwks' },
};

/** A cluster in memory with one cell and whatever buildings a test declares. */
export function testHouse(options: BuildingReconcilerOptions = {}) {
  const kube = new MemoryKube();
  const registry = new MemoryRegistry();
  const metrics = new Metrics();
  let nowMs = Date.UTC(2026, 10, 23, 9);
  const ports: OperatorPorts = {
    country: parseCountryCode('DE'),
    namespace: operatorNamespace,
    user: 'system:serviceaccount:domicile-system:domicile-operator',
    kube: kube.kube,
    cache: kube.cache,
    status: kube.status,
    leadership: { stillLeads: () => true, assert: () => undefined },
    events: { record: () => undefined },
    log: createLog('operator', { write: () => undefined }),
    registry: metrics,
    now: () => nowMs,
  };
  const reconciler = createBuildingReconciler(ports, {
    openRegistry: async () => registry,
    ...options,
  });
  kube.put(cellKind, {
    apiVersion: 'domicile.dev/v1alpha1',
    kind: 'Cell',
    metadata: { name: 'de' },
    spec: cellSpec,
  });
  kube.put(secretKind, secretOf('kafka-operator', { password: 'secret' }));
  kube.put(configMapKind, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'cell-authority', namespace: cellNamespace },
    data: { 'ca.crt': 'PEM' },
  });
  const declare = (name: string, namespace = 'north', spec: object = buildingSpec) =>
    kube.put(buildingKind, {
      ...kube.seen(buildingKind, { name, namespace }),
      apiVersion: 'domicile.dev/v1alpha1',
      kind: 'Building',
      metadata: { ...kube.seen(buildingKind, { name, namespace })?.metadata, name, namespace },
      spec,
    });
  const look = async (name: string, namespace = 'north'): Promise<Outcome> =>
    reconciler.reconcile(
      { name, namespace },
      kube.seen(buildingKind, { name, namespace }),
      AbortSignal.timeout(10_000),
    );
  const pass = (ms: number) => void (nowMs += ms);
  return { kube, registry, reconciler, ports, declare, look, pass };
}

function secretOf(name: string, data: Readonly<Record<string, string>>): KubeObject {
  const encoded = Object.entries(data).map(([key, value]) => [
    key,
    Buffer.from(value).toString('base64'),
  ]);
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: cellNamespace },
    data: Object.fromEntries(encoded),
  };
}

/** Data of a Secret, decoded. */
export function decoded(kube: MemoryKube, ref: Ref): Record<string, string> {
  const data = kube.seen(secretKind, ref)?.['data'] ?? {};
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [
      key,
      Buffer.from(String(value), 'base64').toString(),
    ]),
  );
}

import { z } from 'zod';
import { configMapKind } from '../model/kinds.ts';
import type { Kind, KubeObject } from './kube.ts';
import type { OperatorPorts } from './ports.ts';
import type { Outcome, Reconciler } from './reconciler.ts';
import { configMap } from './test-operator.ts';

export const toyKind: Kind = {
  group: 'toys.test',
  version: 'v1',
  kind: 'Toy',
  plural: 'toys',
  namespaced: true,
};

const keepAll = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };

export const toyDefinition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'toys.toys.test' },
  spec: {
    group: 'toys.test',
    scope: 'Namespaced',
    names: { plural: 'toys', singular: 'toy', kind: 'Toy', listKind: 'ToyList' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: { type: 'object', properties: { spec: keepAll, status: keepAll } },
        },
        subresources: { status: {} },
      },
    ],
  },
};

export function toy(namespace: string, name: string, spec: Readonly<Record<string, unknown>>) {
  return { apiVersion: 'toys.test/v1', kind: 'Toy', metadata: { name, namespace }, spec };
}

const specSchema = z.object({ value: z.string(), mode: z.string().default('ok') });
const toyLabel = 'toys.test/toy';

export interface ToyWatcher {
  /** Called with each toy before it is worked on. */
  readonly began?: (name: string) => Promise<void> | void;
  readonly namespaces?: readonly string[];
}

/** The smallest operator that has all that a real one has: a child of each toy, a status, and a failure or refusal on demand. */
export function toyReconciler(ports: OperatorPorts, watcher: ToyWatcher = {}): Reconciler {
  const { namespaces } = watcher;
  return {
    name: 'toy',
    kind: toyKind,
    ...(namespaces && { namespaces }),
    dependencies: [
      {
        kind: configMapKind,
        ...(namespaces && { namespaces }),
        labelSelector: toyLabel,
        ownersOf: ({ metadata }) => {
          const name = metadata.labels?.[toyLabel];
          return name === undefined ? [] : [{ name, namespace: metadata.namespace ?? '' }];
        },
      },
    ],
    async reconcile(ref, object): Promise<Outcome> {
      await watcher.began?.(ref.name);
      if (object === undefined) return { kind: 'done' };
      const { value, mode } = specSchema.parse(object['spec']);
      if (mode === 'refuse') return { kind: 'refused', reason: `${value} is no value` };
      if (mode === 'fail') throw new Error('as it was asked to');
      await ports.kube.apply(configMapKind, childOf(ref.namespace ?? '', ref.name, value));
      const ready = {
        type: 'Ready',
        status: 'True',
        reason: 'Made',
        message: `has ${value}`,
      } as const;
      await ports.status.write(toyKind, object, { conditions: [ready], fields: { value } });
      return { kind: 'done' };
    },
  };
}

function childOf(namespace: string, name: string, value: string): KubeObject {
  const child = configMap(namespace, `toy-${name}`, { value });
  return { ...child, metadata: { ...child.metadata, labels: { [toyLabel]: name } } };
}

import { z } from 'zod';
import type { KubeObject } from '../../runtime/kube.ts';
import {
  type Breach,
  type Home,
  nodeBreaches,
  type NodePlace,
  pinBreaches,
  regionLabel,
  zoneLabel,
} from '../residency-guard.ts';

export interface FoundPlaces {
  readonly breaches: readonly Breach[];
  /** Nodes on which these pods are, by name. */
  readonly nodes: readonly NodePlace[];
}

const nodeSchema = z.object({
  metadata: z.object({
    name: z.string(),
    labels: z.record(z.string(), z.string()).default({}),
  }),
  spec: z.object({ providerID: z.string().optional() }).prefault({}),
});

const podSchema = z.object({
  metadata: z.object({ name: z.string(), namespace: z.string().optional() }),
  spec: z.looseObject({ nodeName: z.string().optional() }),
  status: z.object({ phase: z.string().optional() }).prefault({}),
});

/**
 * Where the pods of cell, operator and Buildings really are, whatever their templates say. `before`: the nodes of the last look. A
 * node that is gone was where it was: its pods are taken away within a minute or two.
 */
export function foundPlaces(
  home: Home,
  pods: readonly KubeObject[],
  nodes: readonly KubeObject[],
  before: readonly NodePlace[] = [],
): FoundPlaces {
  const alive = pods
    .map((pod) => podSchema.parse(pod))
    .filter(({ status }) => status.phase !== 'Succeeded' && status.phase !== 'Failed');
  const known = new Map(
    [...before, ...nodes.map(placeOf)].map((place) => [place.name, place] as const),
  );
  const used = [...new Set(alive.flatMap(({ spec }) => spec.nodeName ?? []))].toSorted();
  const places = used.map((name) => known.get(name) ?? unknownNode(name));
  const unpinned = alive.flatMap(({ metadata, spec }) =>
    pinBreaches(home, `pod ${[metadata.namespace, metadata.name].filter(Boolean).join('/')}`, spec),
  );
  return {
    breaches: [
      ...places.flatMap((place) => nodeBreaches(home, place)),
      ...unpinned.toSorted((a, b) => (a.evidence < b.evidence ? -1 : 1)),
    ],
    nodes: places,
  };
}

function placeOf(node: KubeObject): NodePlace {
  const { metadata, spec } = nodeSchema.parse(node);
  return {
    name: metadata.name,
    region: metadata.labels[regionLabel],
    zone: metadata.labels[zoneLabel],
    providerId: spec.providerID,
  };
}

/** None was ever seen under this name. */
function unknownNode(name: string): NodePlace {
  return { name, region: undefined, zone: undefined, providerId: undefined };
}

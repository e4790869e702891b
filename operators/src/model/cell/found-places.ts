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
  /** Nodes on which pods of the cell's namespace are, by name. */
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
  metadata: z.object({ name: z.string() }),
  spec: z.looseObject({ nodeName: z.string().optional() }),
  status: z.object({ phase: z.string().optional() }).prefault({}),
});

/** Where the pods of the cell really are, whatever their templates say. */
export function foundPlaces(
  home: Home,
  pods: readonly KubeObject[],
  nodes: readonly KubeObject[],
): FoundPlaces {
  const alive = pods
    .map((pod) => podSchema.parse(pod))
    .filter(({ status }) => status.phase !== 'Succeeded' && status.phase !== 'Failed');
  const known = new Map(nodes.map((node) => [node.metadata.name, placeOf(node)]));
  const used = [...new Set(alive.flatMap(({ spec }) => spec.nodeName ?? []))].toSorted();
  const places = used.map((name) => known.get(name) ?? unknownNode(name));
  const unpinned = alive.flatMap(({ metadata, spec }) =>
    pinBreaches(home, `pod ${metadata.name}`, spec),
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

function unknownNode(name: string): NodePlace {
  return { name, region: undefined, zone: undefined, providerId: undefined };
}

import { must } from '@domicile/core/invariants.ts';
import { expect, test } from 'vitest';
import type { KubeObject } from '../../runtime/kube.ts';
import { foundPlaces } from './found-places.ts';
import { podOf } from './pod.ts';
import { planOfDe } from './test-plan.ts';
import { workloadsOf } from './workloads.ts';

const home = { country: 'DE', regions: ['europe-west3', 'europe-west10'] } as const;
const plan = planOfDe();
const template = podOf(plan, must(workloadsOf(plan)[0], 'there are workloads'));

function pod(name: string, nodeName: string | undefined, more: object = {}): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { ...template.spec, ...(nodeName !== undefined && { nodeName }) },
    ...more,
  };
}

function node(name: string, region?: string): KubeObject {
  const labels = region === undefined ? {} : { 'topology.kubernetes.io/region': region };
  return { apiVersion: 'v1', kind: 'Node', metadata: { name, labels } };
}

const nodes = [node('de-a', 'europe-west3'), node('us-a', 'us-central1'), node('bare')];

test('a node abroad is no breach until something of the cell runs on it', () => {
  const found = foundPlaces(home, [pod('a', 'de-a'), pod('waits', undefined)], nodes);
  expect(found.breaches).toEqual([]);
  expect(found.nodes.map(({ name }) => name)).toEqual(['de-a']);
});

test.each([
  ['a node abroad', 'us-a', 'NodeAbroad'],
  ['a node that says nothing', 'bare', 'NodePlaceUnknown'],
  ['a node that nobody knows', 'gone', 'NodePlaceUnknown'],
])('a pod on %s is a breach', (_what, name, reason) => {
  const found = foundPlaces(home, [pod('a', name)], nodes);
  expect(found.breaches.map((breach) => breach.reason)).toEqual([reason]);
});

test('a node that is gone was where it was when it was last seen', () => {
  const [de, us] = nodes;
  const at = (last: KubeObject | undefined, name: string) => {
    const { nodes: before } = foundPlaces(home, [pod('a', name)], last ? [last] : []);
    return foundPlaces(home, [pod('a', name)], [], before).breaches.map(({ reason }) => reason);
  };
  expect(at(de, 'de-a')).toEqual([]);
  expect(at(us, 'us-a')).toEqual(['NodeAbroad']);
  expect(at(undefined, 'de-a')).toEqual(['NodePlaceUnknown']);
});

test('a pod without a pin is a breach wherever it is; one that has ended is none', () => {
  const spec = { containers: [], nodeName: 'de-a' };
  const unpinned = (phase: string) => pod('b', 'de-a', { spec, status: { phase } });
  const reasons = (phase: string) =>
    foundPlaces(home, [unpinned(phase)], nodes).breaches.map(({ reason }) => reason);
  expect(reasons('Running')).toEqual(['WorkloadNotPinned']);
  expect(reasons('Succeeded')).toEqual([]);
});

import { z } from 'zod';
import type { KubeObject } from '../../runtime/kube.ts';
import { type CellPlan, labelsOf, owned, partOf, selectorOf } from './plan.ts';
import { adminPort, type Component, type Reaches, type Workload } from './workload.ts';

interface Peer {
  readonly podSelector?: { readonly matchLabels?: Readonly<Record<string, string>> };
  readonly namespaceSelector?: { readonly matchLabels: Readonly<Record<string, string>> };
  readonly ipBlock?: { readonly cidr: string };
}

interface PortOf {
  readonly protocol: 'TCP' | 'UDP';
  readonly port: number;
}

export interface NetworkRule {
  readonly from?: readonly Peer[];
  readonly to?: readonly Peer[];
  readonly ports: readonly PortOf[];
}

/** Namespaces with this label may read metrics. */
export const scrapesLabel = 'domicile.dev/scrapes';

/** Nothing is allowed but what some policy names; each kind of process gets one. */
export function networkPolicies(plan: CellPlan, workloads: readonly Workload[]): KubeObject[] {
  return [
    policy(plan, 'default-deny', { podSelector: {}, ingress: [], egress: [] }),
    ...workloads.map((workload) => ofWorkload(plan, workload)),
    ofEraser(plan),
  ];
}

function policy(
  plan: CellPlan,
  name: string,
  of: {
    readonly podSelector: object;
    readonly ingress: readonly NetworkRule[];
    readonly egress: readonly NetworkRule[];
  },
): KubeObject {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: {
      name,
      namespace: plan.spec.namespace,
      labels: labelsOf(plan),
      ...owned(plan),
    },
    spec: { ...of, policyTypes: ['Ingress', 'Egress'] },
  };
}

function ofWorkload(plan: CellPlan, workload: Workload): KubeObject {
  const { name, accepts, reaches, answersOperator } = workload;
  return policy(plan, name, {
    podSelector: { matchLabels: selectorOf(plan, name) },
    ingress: [
      ...accepts.map(({ port, from }) => ({
        ...(from !== 'anyone' && { from: from.map((one) => podsOf(plan, one)) }),
        ports: [tcp(port)],
      })),
      ...(answersOperator ? fromOperator(plan) : []),
      {
        from: [{ namespaceSelector: { matchLabels: { [scrapesLabel]: 'true' } } }],
        ports: [tcp(adminPort)],
      },
    ],
    egress: egressOf(plan, reaches),
  });
}

/** Only as a pod has it a namespace; outside of a cluster it asks nobody. */
function fromOperator({ operatorUser }: CellPlan): NetworkRule[] {
  const namespace = /^system:serviceaccount:([^:]+):/.exec(operatorUser)?.[1];
  if (namespace === undefined) return [];
  const matchLabels = { 'kubernetes.io/metadata.name': namespace };
  return [{ from: [{ namespaceSelector: { matchLabels } }], ports: [tcp(adminPort)] }];
}

function ofEraser(plan: CellPlan): KubeObject {
  return policy(plan, 'eraser', {
    podSelector: { matchLabels: { ...selectorOf(plan, 'eraser') } },
    ingress: [],
    egress: egressOf(plan, [{ to: 'kafka' }, { to: 'store' }]),
  });
}

function egressOf(plan: CellPlan, reaches: readonly Reaches[]): NetworkRule[] {
  if (reaches.length === 0) return [];
  return [nameService, ...reaches.flatMap((one) => rulesTo(plan, one))];
}

const nameService: NetworkRule = {
  to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'kube-system' } } }],
  ports: [
    { protocol: 'UDP', port: 53 },
    { protocol: 'TCP', port: 53 },
  ],
};

function rulesTo(plan: CellPlan, reach: Reaches): NetworkRule[] {
  if (reach.to === 'component')
    return [{ to: [podsOf(plan, reach.component)], ports: [tcp(reach.port)] }];
  if (reach.to === 'address') return [ruleToUrl(reach.url)];
  if (reach.to === 'store')
    return [ruleToUrl(plan.spec.lake.endpoint ?? 'https://storage.googleapis.com')];
  const byPort = Map.groupBy(
    plan.spec.kafka.bootstrap.split(',').map((text) => text.trim()),
    (text) => Number(text.split(':').at(-1)),
  );
  return [...byPort].map(([port, brokers]) =>
    ruleTo(
      brokers.map((text) => text.slice(0, text.lastIndexOf(':'))),
      port,
    ),
  );
}

function ruleToUrl(url: string): NetworkRule {
  const { hostname, port, protocol } = new URL(url);
  return ruleTo([hostname], port === '' ? (protocol === 'http:' ? 80 : 443) : Number(port));
}

/** Policies know addresses and labels, no names: a name from outside the cluster is held by its port alone. */
function ruleTo(hosts: readonly string[], port: number): NetworkRule {
  const peers = hosts.map(peerOf);
  const known = peers.filter((peer) => peer !== undefined);
  return { ...(known.length === peers.length && { to: known }), ports: [tcp(port)] };
}

function peerOf(host: string): Peer | undefined {
  const literal = host.replace(/^\[(.*)\]$/, '$1');
  if (z.ipv4().safeParse(literal).success) return { ipBlock: { cidr: `${literal}/32` } };
  if (z.ipv6().safeParse(literal).success) return { ipBlock: { cidr: `${literal}/128` } };
  const namespace = /^[a-z0-9-]+(?:\.[a-z0-9-]+)?\.([a-z0-9-]+)\.svc(?:\.cluster\.local)?$/.exec(
    host,
  )?.[1];
  if (namespace === undefined) return undefined;
  return { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } } };
}

function podsOf(plan: CellPlan, component: Component): Peer {
  return { podSelector: { matchLabels: { ...selectorOf(plan, component), ...partOf } } };
}

const tcp = (port: number): PortOf => ({ protocol: 'TCP', port });

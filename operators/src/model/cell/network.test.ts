import { expect, test } from 'vitest';
import { z } from 'zod';
import { networkPolicies } from './network.ts';
import { selectorOf } from './plan.ts';
import { planOfDe } from './test-plan.ts';
import { adminPort, components } from './workload.ts';
import { apiPort, estPort, workloadsOf } from './workloads.ts';

const labels = z.record(z.string(), z.string());
const peer = z.object({
  podSelector: z.object({ matchLabels: labels.optional() }).optional(),
  namespaceSelector: z.object({ matchLabels: labels }).optional(),
  ipBlock: z.object({ cidr: z.string() }).optional(),
});
const rule = z.object({
  from: z.array(peer).optional(),
  to: z.array(peer).optional(),
  ports: z.array(z.object({ port: z.number() })),
});
const policySchema = z.object({
  spec: z.object({
    podSelector: z.object({ matchLabels: labels.optional() }),
    policyTypes: z.tuple([z.literal('Ingress'), z.literal('Egress')]),
    ingress: z.array(rule),
    egress: z.array(rule),
  }),
});
type Labels = z.output<typeof labels>;
type Rule = z.output<typeof rule>;

const plan = planOfDe();
const policies = networkPolicies(plan, workloadsOf(plan)).map(
  (one) => policySchema.parse(one).spec,
);

function selects(selector: { matchLabels?: Labels | undefined } | undefined, pod: Labels) {
  return Object.entries(selector?.matchLabels ?? {}).every(([key, value]) => pod[key] === value);
}

/** As the standard has it: all that some policy of both ends allows, once any selects them. */
function mayCall(from: Labels, to: Labels, port: number): boolean {
  const allows = (rules: readonly Rule[], end: 'from' | 'to', other: Labels) =>
    rules.some(
      (one) =>
        one.ports.some((given) => given.port === port) &&
        (one[end] === undefined ||
          one[end].some(
            ({ podSelector, namespaceSelector, ipBlock }) =>
              ipBlock === undefined &&
              namespaceSelector === undefined &&
              selects(podSelector, other),
          )),
    );
  const ofPod = (pod: Labels) => policies.filter(({ podSelector }) => selects(podSelector, pod));
  return (
    ofPod(from).some(({ egress }) => allows(egress, 'to', to)) &&
    ofPod(to).some(({ ingress }) => allows(ingress, 'from', from))
  );
}

const pod = (component: string): Labels => selectorOf(plan, component);
const ports = [apiPort, estPort, 8883, adminPort];

test('within the cell, only the door calls, and only what stands behind it', () => {
  const ways = components.flatMap((from) =>
    components.flatMap((to) =>
      ports
        .filter((port) => from !== to && mayCall(pod(from), pod(to), port))
        .map((port) => `${from} → ${to}:${port}`),
    ),
  );
  expect(ways).toEqual([
    'api-gateway → commands:8080',
    'api-gateway → serving-api:8080',
    'api-gateway → raw-api:8080',
    'api-gateway → issuer:8444',
  ]);
});

test('the operator asks the serving API how many devices it sees, at its admin port alone', () => {
  const fromOperator = networkPolicies(plan, workloadsOf(plan)).flatMap((one) =>
    policySchema
      .parse(one)
      .spec.ingress.flatMap(({ from = [], ports: open }) =>
        from.some(
          ({ namespaceSelector }) =>
            namespaceSelector?.matchLabels['kubernetes.io/metadata.name'] === 'domicile-system',
        )
          ? open.map(({ port }) => `${one.metadata.name}:${port}`)
          : [],
      ),
  );
  expect(fromOperator).toEqual([`serving-api:${adminPort}`]);
  // Outside of a cluster it has no namespace that a policy could name.
  const outside = planOfDe({}, { operatorUser: 'jane' });
  expect(JSON.stringify(networkPolicies(outside, workloadsOf(outside)))).not.toContain('jane');
});

test('serving has no way to the raw API at any port, by either end', () => {
  const reached = Array.from({ length: 65_535 }, (_, index) => index + 1).filter((port) =>
    mayCall(pod('serving-api'), pod('raw-api'), port),
  );
  expect(reached).toEqual([]);
});

test('a pod that is nobody’s is called by nobody and calls nobody', () => {
  const stranger = { app: 'stranger' };
  for (const component of components)
    for (const port of ports) {
      expect(mayCall(stranger, pod(component), port), `${component}:${port}`).toBe(false);
      expect(mayCall(pod(component), stranger, port), `${component}:${port}`).toBe(false);
    }
});

test('what the network can know of Kafka and the store is named: addresses and namespaces', () => {
  const inside = planOfDe({
    kafka: { bootstrap: '10.1.2.3:9092,kafka-0.kafka.streams.svc:9094', partitions: 8 },
  });
  const tasks = networkPolicies(inside, workloadsOf(inside)).find(
    ({ metadata }) => metadata.name === 'tasks',
  );
  expect(policySchema.parse(tasks).spec.egress.slice(1)).toEqual([
    { to: [{ ipBlock: { cidr: '10.1.2.3/32' } }], ports: [{ port: 9092 }] },
    {
      to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'streams' } } }],
      ports: [{ port: 9094 }],
    },
  ]);
});

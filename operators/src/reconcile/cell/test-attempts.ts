import type { Manifest } from '@domicile/devkit/kube/kube-client.ts';
import { buildingNamespace, cellNamespace, operatorNamespace } from './test-cell-house.ts';

/** A try to place or move something of the cell abroad, and what the one who tries is told. */
export type Attempt = readonly [what: string, manifest: Manifest, told: string | RegExp];

const region = 'topology.kubernetes.io/region';
const here = ['europe-west3', 'europe-west10'];

export const pin = (values: readonly string[], operator = 'In') => ({
  matchExpressions: [{ key: region, operator, values }],
});

export const pinnedBy = (...nodeSelectorTerms: readonly object[]) => ({
  nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } },
});

/** Of the restricted profile, so that only its place can be wrong; pinned unless told otherwise. */
export function podSpec(changes: Readonly<Record<string, unknown>> = {}) {
  return {
    affinity: pinnedBy(pin(here)),
    automountServiceAccountToken: false,
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      {
        name: 'thief',
        image: 'thief:1',
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
      },
    ],
    ...changes,
  };
}

const labels = { app: 'thief' };
const selector = { matchLabels: labels };
const template = (spec: object) => ({ metadata: { labels }, spec });

function pod(changes: Readonly<Record<string, unknown>>, annotations = {}): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'thief', namespace: cellNamespace, annotations },
    spec: podSpec(changes),
  };
}

function made(apiVersion: string, kind: string, body: Readonly<Record<string, unknown>>): Manifest {
  return { apiVersion, kind, metadata: { name: 'thief', namespace: cellNamespace }, ...body };
}

function service(spec: object): Manifest {
  return made('v1', 'Service', { spec });
}

const unpinned = { affinity: undefined };
const notPinned = 'must be pinned to DE';

const pods: readonly Attempt[] = [
  ['a pod without a pin', pod(unpinned), notPinned],
  ['a pod pinned abroad', pod({ affinity: pinnedBy(pin(['us-central1'])) }), notPinned],
  [
    'a pod pinned at home or abroad, by values',
    pod({ affinity: pinnedBy(pin([...here, 'us-central1'])) }),
    notPinned,
  ],
  [
    'a pod pinned at home or abroad, by terms',
    pod({ affinity: pinnedBy(pin(here), pin(['us-central1'])) }),
    notPinned,
  ],
  [
    'a pod pinned at home or anywhere that has a name',
    pod({
      affinity: pinnedBy(pin(here), {
        matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'Exists' }],
      }),
    }),
    notPinned,
  ],
  [
    'a pod that only shuns another region',
    pod({ affinity: pinnedBy(pin(['europe-west1'], 'NotIn')) }),
    notPinned,
  ],
  [
    'a pod that only prefers home',
    pod({
      affinity: {
        nodeAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, preference: pin(here) }],
        },
      },
    }),
    notPinned,
  ],
  [
    'a pod pinned by a field instead of the region',
    pod({
      affinity: pinnedBy({
        matchFields: [{ key: 'metadata.name', operator: 'In', values: ['us-a'] }],
      }),
    }),
    notPinned,
  ],
  ['a pod that names its node', pod({ nodeName: 'us-a' }), 'must not name its node'],
  [
    'the mirror of a static pod abroad',
    pod(
      { nodeName: 'us-a', serviceAccountName: undefined },
      { 'kubernetes.io/config.mirror': 'a1b2' },
    ),
    'must not name its node',
  ],
  [
    'a pod that tolerates whatever keeps pods off a node abroad',
    pod({
      ...unpinned,
      tolerations: [{ operator: 'Exists' }],
      nodeSelector: { 'kubernetes.io/hostname': 'us-a' },
    }),
    notPinned,
  ],
  [
    'a pod that selects a region abroad',
    pod({ nodeSelector: { [region]: 'us-central1' } }),
    'nodeSelector names a region outside',
  ],
  [
    'a pod that selects a zone abroad',
    pod({ nodeSelector: { 'topology.kubernetes.io/zone': 'us-central1-a' } }),
    'nodeSelector names a zone outside',
  ],
  ['a pod for a scheduler of one’s own', pod({ schedulerName: 'mine' }), 'default scheduler'],
  [
    'a pod on the network of its node',
    pod({ hostNetwork: true }),
    /network of its node|hostNetwork|host namespaces/,
  ],
  [
    'a pod that mounts a share from abroad',
    pod({ volumes: [{ name: 'v', nfs: { server: 'nfs.us.example', path: '/' } }] }),
    /may mount only|restricted volume types/,
  ],
  [
    'a pod that renames a host',
    pod({ hostAliases: [{ ip: '203.0.113.1', hostnames: ['kafka-1.example'] }] }),
    'must resolve names as the cluster does',
  ],
  [
    'a pod that asks a name server abroad',
    pod({ dnsPolicy: 'None', dnsConfig: { nameservers: ['203.0.113.1'] } }),
    'must resolve names as the cluster does',
  ],
];

const makers: readonly Attempt[] = [
  [
    'a Deployment without a pin',
    made('apps/v1', 'Deployment', { spec: { selector, template: template(podSpec(unpinned)) } }),
    notPinned,
  ],
  [
    'a StatefulSet without a pin',
    made('apps/v1', 'StatefulSet', {
      spec: { selector, serviceName: 'thief', template: template(podSpec(unpinned)) },
    }),
    notPinned,
  ],
  [
    'a DaemonSet without a pin',
    made('apps/v1', 'DaemonSet', { spec: { selector, template: template(podSpec(unpinned)) } }),
    notPinned,
  ],
  [
    'a ReplicaSet without a pin',
    made('apps/v1', 'ReplicaSet', { spec: { selector, template: template(podSpec(unpinned)) } }),
    notPinned,
  ],
  [
    'a ReplicationController without a pin',
    made('v1', 'ReplicationController', {
      spec: { selector: labels, template: template(podSpec(unpinned)) },
    }),
    notPinned,
  ],
  [
    'a Job without a pin',
    made('batch/v1', 'Job', {
      spec: { template: template(podSpec({ ...unpinned, restartPolicy: 'Never' })) },
    }),
    notPinned,
  ],
  [
    'a CronJob without a pin',
    made('batch/v1', 'CronJob', {
      spec: {
        schedule: '* * * * *',
        jobTemplate: {
          spec: { template: template(podSpec({ ...unpinned, restartPolicy: 'Never' })) },
        },
      },
    }),
    notPinned,
  ],
  [
    'a PodTemplate without a pin',
    made('v1', 'PodTemplate', { template: template(podSpec(unpinned)) }),
    notPinned,
  ],
];

const names: readonly Attempt[] = [
  [
    'a name of the cell that leads abroad',
    service({ type: 'ExternalName', externalName: 'kafka.us.example' }),
    'must not be an ExternalName',
  ],
  [
    'a service with an address abroad',
    service({ selector: labels, externalIPs: ['203.0.113.1'], ports: [{ port: 80 }] }),
    'must not have externalIPs',
  ],
  ['a service without pods', service({ ports: [{ port: 80 }] }), 'it has no selector'],
  [
    'addresses abroad for a service that is there',
    made('discovery.k8s.io/v1', 'EndpointSlice', {
      metadata: {
        name: 'thief',
        namespace: cellNamespace,
        labels: { 'kubernetes.io/service-name': 'raw-api' },
      },
      addressType: 'IPv4',
      endpoints: [{ addresses: ['203.0.113.1'] }],
      ports: [{ name: 'http', port: 8080 }],
    }),
    'only the controllers say',
  ],
  [
    'a way out of the network',
    made('networking.k8s.io/v1', 'NetworkPolicy', {
      spec: { podSelector: {}, policyTypes: ['Egress'], egress: [{}] },
    }),
    'only the operator',
  ],
];

const volume = (namespace: string, spec: Readonly<Record<string, unknown>>): Manifest => ({
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  metadata: { name: 'thief' },
  spec: {
    capacity: { storage: '1Gi' },
    accessModes: ['ReadWriteOnce'],
    claimRef: { namespace, name: 'issuer-state' },
    ...spec,
  },
});
const tiedTo = (zone: string) => ({
  nodeAffinity: {
    required: {
      nodeSelectorTerms: [
        {
          matchExpressions: [
            { key: 'topology.kubernetes.io/zone', operator: 'In', values: [zone] },
          ],
        },
      ],
    },
  },
});

const csi = (fields: object) => ({ csi: { driver: 'x.example', volumeHandle: 'v', ...fields } });

const volumesFor = (namespace: string): readonly Attempt[] => [
  [
    'a claim to a volume of one’s choice',
    made('v1', 'PersistentVolumeClaim', {
      metadata: { name: 'thief', namespace },
      spec: {
        accessModes: ['ReadWriteOnce'],
        resources: { requests: { storage: '1Gi' } },
        volumeName: 'thief',
      },
    }),
    'must not name its volume',
  ],
  ['a volume that is tied to no place', volume(namespace, csi({})), 'must be tied to a region'],
  [
    'a volume abroad',
    volume(namespace, { ...csi({}), ...tiedTo('us-central1-a') }),
    'must be tied to a region',
  ],
  [
    'a share of the network that says it is at home',
    volume(namespace, {
      nfs: { server: 'nfs.us.example', path: '/' },
      ...tiedTo('europe-west3-a'),
    }),
    'must not be a share of the network',
  ],
  [
    'a share by its driver',
    volume(namespace, { ...csi({ driver: 'nfs.csi.k8s.io' }), ...tiedTo('europe-west3-a') }),
    'must not be a share of the network',
  ],
  [
    'a volume that names a server',
    volume(namespace, {
      ...csi({ volumeAttributes: { server: 'us.example' } }),
      ...tiedTo('europe-west3-a'),
    }),
    'nor name a server',
  ],
  [
    'a disk abroad that says it is at home',
    volume(namespace, {
      ...csi({ volumeHandle: 'projects/p/zones/us-central1-a/disks/d' }),
      ...tiedTo('europe-west3-a'),
    }),
    'names a place outside',
  ],
];

/** Policies of the network beside the operator come with its chart. */
const isOfService = ([, { kind }]: Attempt) => kind !== 'NetworkPolicy';

/** The same beside the operator, which has the keys of administrators, and beside the Buildings, which have those of gateways. */
function elsewhere(namespace: string, attempts: readonly Attempt[]): Attempt[] {
  return attempts.map(([what, manifest, told]) => [
    `${what}, in ${namespace},`,
    { ...manifest, metadata: { ...manifest.metadata, namespace } },
    told,
  ]);
}

/** What the API server itself refuses, whoever tries. */
export const refusedAttempts: readonly Attempt[] = [
  ...pods,
  ...makers,
  ...names,
  ...volumesFor(cellNamespace),
  ...elsewhere(operatorNamespace, [...pods, ...makers, ...names.filter(isOfService)]),
  ...elsewhere(buildingNamespace, [...pods, ...makers]),
  ...volumesFor(operatorNamespace).map(([what, manifest, told]): Attempt => [
    `${what}, in ${operatorNamespace},`,
    manifest,
    told,
  ]),
];

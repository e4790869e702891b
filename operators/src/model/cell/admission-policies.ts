import { celText } from '../cel-text.ts';
import { regionLabel, zoneLabel } from '../residency-guard.ts';
import type { CellPlan } from './plan.ts';

interface Validation {
  readonly expression: string;
  readonly message?: string;
  readonly messageExpression?: string;
}

export interface Policy {
  readonly name: string;
  readonly rules: readonly {
    readonly apiGroups: readonly string[];
    readonly apiVersions: readonly string[];
    readonly operations: readonly ('CREATE' | 'UPDATE' | 'DELETE')[];
    readonly resources: readonly string[];
  }[];
  readonly conditions?: readonly { readonly name: string; readonly expression: string }[];
  readonly variables?: readonly { readonly name: string; readonly expression: string }[];
  readonly validations: readonly Validation[];
  /** Objects without a namespace are matched by conditions alone. */
  readonly ofCluster?: true;
}

/** Where policies hold, and what is home there. */
export interface Wall {
  /** Of the names of its policies. */
  readonly prefix: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly namespaces: readonly string[];
  /** The Cell that is the parameter of its policies; absent: they have none. */
  readonly cell?: string;
  /** CEL: the country, its regions, and whether a region is one of them. */
  readonly country: string;
  readonly regions: string;
  readonly isHome: (region: string) => string;
}

/** CEL. */
export function listOf(values: readonly string[]): string {
  return `[${values.map(celText).join(', ')}]`;
}

const schedulers = ['system:kube-scheduler'];
const endpointControllers = [
  'system:kube-controller-manager',
  'system:serviceaccount:kube-system:endpoint-controller',
  'system:serviceaccount:kube-system:endpointslice-controller',
  'system:serviceaccount:kube-system:endpointslicemirroring-controller',
];
const toldRegions = "variables.regions.join(', ')";

const v1 = (group: string, ...resources: string[]) => ({
  apiGroups: [group],
  apiVersions: ['*'],
  operations: ['CREATE', 'UPDATE'] as const,
  resources,
});

function homeOf({ country, regions }: Wall) {
  return [
    { name: 'country', expression: country },
    { name: 'regions', expression: regions },
  ];
}

/** Of `object` or `oldObject`. */
const podSpecOf = (object: string): string =>
  `(request.kind.kind == 'Pod' ? ${object}.spec : ` +
  `request.kind.kind == 'CronJob' ? ${object}.spec.jobTemplate.spec.template.spec : ` +
  `request.kind.kind == 'PodTemplate' ? ${object}.template.spec : ${object}.spec.template.spec)`;

const allowedVolumes = [
  'configMap',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
];

/** Pods and whatever makes pods. */
export function placement(wall: Wall): Policy {
  return {
    name: 'placement',
    rules: [
      v1('', 'pods', 'podtemplates', 'replicationcontrollers'),
      v1('apps', 'daemonsets', 'deployments', 'replicasets', 'statefulsets'),
      v1('batch', 'cronjobs', 'jobs'),
    ],
    conditions: [
      {
        // What was there before, and has no pin or one to a region that was given up, may be labelled, finalised and scaled down.
        name: 'changes-the-pod',
        expression: `request.operation == 'CREATE' || ${podSpecOf('object')} != ${podSpecOf('oldObject')}`,
      },
    ],
    variables: [
      ...homeOf(wall),
      { name: 'pod', expression: podSpecOf('object') },
      {
        name: 'terms',
        expression:
          'variables.pod.?affinity.?nodeAffinity.?requiredDuringSchedulingIgnoredDuringExecution.?nodeSelectorTerms.orValue([])',
      },
      { name: 'selector', expression: 'variables.pod.?nodeSelector.orValue({})' },
    ],
    validations: [...placeOfPod(wall), ...worldOfPod],
  };
}

/** Where it may run. */
function placeOfPod({ isHome }: Wall): Validation[] {
  const regionKeys = [regionLabel, 'failure-domain.beta.kubernetes.io/region'];
  const zone = `variables.selector[${celText(zoneLabel)}]`;
  return [
    {
      expression:
        'variables.terms.size() > 0 && variables.terms.all(term, term.?matchExpressions.orValue([]).exists(one, ' +
        `one.key == ${celText(regionLabel)} && one.operator == 'In' && one.values.all(value, ${isHome('value')})))`,
      messageExpression:
        `'must be pinned to ' + variables.country + ': every required node affinity term needs ${regionLabel} In [' + ` +
        `${toldRegions} + ']'`,
    },
    {
      expression:
        "(request.kind.kind == 'Pod' && request.operation == 'UPDATE') || variables.pod.?nodeName.orValue('') == ''",
      message: 'must not name its node: leave out nodeName, the scheduler keeps to the regions',
    },
    {
      expression: `${listOf(regionKeys)}.all(key, !(key in variables.selector) || ${isHome('variables.selector[key]')})`,
      messageExpression: `'nodeSelector names a region outside [' + ${toldRegions} + ']'`,
    },
    {
      expression: `!(${celText(zoneLabel)} in variables.selector) || variables.regions.exists(region, ${zone}.startsWith(region + '-') || region.startsWith('onprem-'))`,
      messageExpression: `'nodeSelector names a zone outside [' + ${toldRegions} + ']'`,
    },
    {
      expression:
        "variables.pod.?schedulerName.orValue('default-scheduler') == 'default-scheduler'",
      message: 'must be placed by the default scheduler: another might not keep to the regions',
    },
  ];
}

/** What it may reach from there. */
const worldOfPod: readonly Validation[] = [
  {
    expression: '!variables.pod.?hostNetwork.orValue(false)',
    message: 'must not use the network of its node: the policies of the network would not hold it',
  },
  {
    expression:
      "!has(variables.pod.hostAliases) && variables.pod.?dnsPolicy.orValue('ClusterFirst') != 'None' && " +
      'variables.pod.?dnsConfig.?nameservers.orValue([]).size() == 0',
    message:
      'must resolve names as the cluster does: leave out hostAliases, dnsPolicy None and nameservers',
  },
  {
    expression: `variables.pod.?volumes.orValue([]).all(volume, ${allowedVolumes
      .map((name) => `has(volume.${name})`)
      .join(' || ')})`,
    message: `may mount only ${allowedVolumes.join(', ')}: others can lie anywhere`,
  },
];

/** Who puts a pod onto a node. */
export const binds: Policy = {
  name: 'binding',
  rules: [
    {
      apiGroups: [''],
      apiVersions: ['*'],
      operations: ['CREATE'],
      resources: ['bindings', 'pods/binding'],
    },
  ],
  validations: [
    {
      expression: `request.userInfo.username in ${listOf(schedulers)}`,
      message: 'only the scheduler puts pods onto nodes here: it keeps to their region',
    },
  ],
};

/** What a name inside the cell leads to. */
export const names: Policy = {
  name: 'names',
  rules: [v1('', 'endpoints', 'services'), v1('discovery.k8s.io', 'endpointslices')],
  conditions: [
    {
      name: 'changes-where-it-leads',
      expression:
        "request.operation == 'CREATE' || (has(object.spec) ? object.spec != oldObject.spec : object != oldObject)",
    },
  ],
  validations: [
    {
      expression:
        "request.kind.kind != 'Service' || object.spec.?type.orValue('ClusterIP') != 'ExternalName'",
      message: 'a service here must not be an ExternalName: its name would lead anywhere',
    },
    {
      expression:
        "request.kind.kind != 'Service' || object.spec.?externalIPs.orValue([]).size() == 0",
      message: 'a service here must not have externalIPs: they could be anywhere',
    },
    {
      expression: "request.kind.kind != 'Service' || object.spec.?selector.orValue({}).size() > 0",
      message: 'a service here must select pods that are here: it has no selector',
    },
    {
      expression: `request.kind.kind == 'Service' || request.userInfo.username in ${listOf(endpointControllers)}`,
      message: 'only the controllers say which addresses a service has: its own pods',
    },
  ],
};

export const volumes: Policy = {
  name: 'claims',
  rules: [{ ...v1('', 'persistentvolumeclaims'), operations: ['CREATE'] }],
  validations: [
    {
      expression: '!has(object.spec.volumeName)',
      message: 'must not name its volume: it could lie anywhere. Leave out volumeName',
    },
    {
      expression: '!has(object.spec.dataSource) && !has(object.spec.dataSourceRef)',
      message: 'must begin empty: a source could lie anywhere',
    },
  ],
};

const placeKeys = [
  regionLabel,
  zoneLabel,
  'topology.gke.io/zone',
  'kubernetes.io/hostname',
  'failure-domain.beta.kubernetes.io/zone',
];

/** Drivers of shares, by their names, as `nfs.csi.k8s.io`, `efs.csi.aws.com`, `file.csi.azure.com`, `filestore.csi.storage.gke.io`. */
const shareDrivers = 'nfs|smb|cifs|efs|fsx|file|fuse|ceph-?fs|gluster|blob|s3';
/** By which a volume names a machine somewhere. */
const shareAttributes = ['server', 'share', 'source', 'ip', 'host'];

export function volumesOfCluster(wall: Wall, namespaces: readonly string[]): Policy {
  return {
    name: 'volumes',
    ofCluster: true,
    rules: [v1('', 'persistentvolumes')],
    conditions: [
      {
        name: 'for-these-namespaces',
        expression: `object.spec.?claimRef.?namespace.orValue('') in ${listOf(namespaces)}`,
      },
      {
        name: 'changes-the-spec',
        expression: "request.operation == 'CREATE' || object.spec != oldObject.spec",
      },
    ],
    variables: [
      ...homeOf(wall),
      {
        name: 'terms',
        expression: 'object.spec.?nodeAffinity.?required.?nodeSelectorTerms.orValue([])',
      },
      { name: 'handle', expression: "object.spec.?csi.?volumeHandle.orValue('')" },
    ],
    validations: [...tiedToHome(wall), ...noShares],
  };
}

function tiedToHome({ isHome }: Wall): Validation[] {
  const messageExpression = `'a volume must be tied to a region of [' + ${toldRegions} + '] by its node affinity'`;
  return [
    {
      expression:
        'variables.terms.size() > 0 && variables.terms.all(term, term.?matchExpressions.orValue([]).exists(one, ' +
        `one.key in ${listOf(placeKeys)} && one.operator == 'In' && (one.key == 'kubernetes.io/hostname' || ` +
        `one.values.all(value, ${isHome('value')} || variables.regions.exists(region, value.startsWith(region + '-'))))))`,
      messageExpression,
    },
    {
      // As Compute Engine names its disks: projects/{p}/zones/{zone}/disks/{d}.
      expression:
        "!variables.handle.matches('/(zones|regions)/') || variables.regions.exists(region, " +
        "variables.handle.contains('/zones/' + region + '-') || variables.handle.contains('/regions/' + region + '/'))",
      messageExpression: `'the handle of the volume names a place outside [' + ${toldRegions} + ']'`,
    },
  ];
}

const noShares: readonly Validation[] = [
  {
    expression: ['azureFile', 'cephfs', 'glusterfs', 'iscsi', 'nfs']
      .map((name) => `!has(object.spec.${name})`)
      .join(' && '),
    message: 'a volume here must not be a share of the network: it could lie anywhere',
  },
  {
    expression:
      `!object.spec.?csi.?driver.orValue('').matches('${shareDrivers}') && ` +
      `!object.spec.?csi.?volumeAttributes.orValue({}).exists(key, key.lowerAscii() in ${listOf(shareAttributes)})`,
    message:
      'a volume here must not be a share of the network, nor name a server: it could lie anywhere',
  },
];

/** What opens the walls of the network: only the operator writes it. */
export function borders({ operatorUser }: CellPlan): Policy {
  return {
    name: 'borders',
    rules: [v1('networking.k8s.io', 'networkpolicies')],
    conditions: [
      {
        // The garbage collector takes owners off where a Cell is deleted without what it owns.
        name: 'changes-the-spec',
        expression: "request.operation == 'CREATE' || object.spec != oldObject.spec",
      },
    ],
    validations: [
      {
        expression: `request.userInfo.username == ${celText(operatorUser)}`,
        message: `only the operator (${operatorUser}) writes the network policies of a cell: they follow from the Cell`,
      },
    ],
  };
}

import { resourceGroup, resourceVersion } from '@domicile/core/resources/cell.ts';
import type { KubeObject } from '../../runtime/kube.ts';
import { celText } from '../cel-text.ts';
import { regionLabel, zoneLabel } from '../residency-guard.ts';
import { type CellPlan, labelsOf } from './plan.ts';

interface Validation {
  readonly expression: string;
  readonly message?: string;
  readonly messageExpression?: string;
}

interface Policy {
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

/**
 * The policies by which the API server itself refuses what would take a cell abroad, and what ties them to the cell's namespace.
 * They go before any workload. Their parameter is the Cell, whose regions the API server has checked; without it everything is
 * refused. They have no owner: what is left in the namespace when the Cell is deleted is guarded all the same.
 */
export function admissionObjects(plan: CellPlan): KubeObject[] {
  return policiesOf(plan).flatMap((policy) => [policyObject(plan, policy), binding(plan, policy)]);
}

/** A cluster has one cell, so another Cell takes these over. */
export function policyName(policy: string): string {
  return `domicile-cell-${policy}`;
}

function policiesOf(plan: CellPlan): Policy[] {
  return [placement, binds, names, volumes, volumesOfCluster(plan), borders(plan)];
}

/** CEL. */
const listOf = (values: readonly string[]): string => `[${values.map(celText).join(', ')}]`;

const schedulers = ['system:kube-scheduler'];
const endpointControllers = [
  'system:kube-controller-manager',
  'system:serviceaccount:kube-system:endpoint-controller',
  'system:serviceaccount:kube-system:endpointslice-controller',
  'system:serviceaccount:kube-system:endpointslicemirroring-controller',
];
const toldRegions = "params.spec.regions.join(', ')";

const v1 = (group: string, ...resources: string[]) => ({
  apiGroups: [group],
  apiVersions: ['*'],
  operations: ['CREATE', 'UPDATE'] as const,
  resources,
});

const regions = { name: 'regions', expression: 'params.spec.regions' };

const podSpec =
  "request.kind.kind == 'Pod' ? object.spec : " +
  "request.kind.kind == 'CronJob' ? object.spec.jobTemplate.spec.template.spec : " +
  "request.kind.kind == 'PodTemplate' ? object.template.spec : object.spec.template.spec";

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
const placement: Policy = {
  name: 'placement',
  rules: [
    v1('', 'pods', 'podtemplates', 'replicationcontrollers'),
    v1('apps', 'daemonsets', 'deployments', 'replicasets', 'statefulsets'),
    v1('batch', 'cronjobs', 'jobs'),
  ],
  conditions: [
    {
      // What is only labelled or finalised stays possible, also for what was there before the policy.
      name: 'changes-the-spec',
      expression:
        "request.operation == 'CREATE' || (has(object.spec) ? object.spec != oldObject.spec : object != oldObject)",
    },
  ],
  variables: [
    regions,
    { name: 'pod', expression: podSpec },
    {
      name: 'terms',
      expression:
        'variables.pod.?affinity.?nodeAffinity.?requiredDuringSchedulingIgnoredDuringExecution.?nodeSelectorTerms.orValue([])',
    },
    { name: 'selector', expression: 'variables.pod.?nodeSelector.orValue({})' },
  ],
  validations: [
    {
      expression:
        'variables.terms.size() > 0 && variables.terms.all(term, term.?matchExpressions.orValue([]).exists(one, ' +
        `one.key == ${celText(regionLabel)} && one.operator == 'In' && one.values.all(value, value in variables.regions)))`,
      messageExpression:
        `'must be pinned to ' + params.spec.country + ': every required node affinity term needs ${regionLabel} In [' + ` +
        `${toldRegions} + ']'`,
    },
    {
      expression:
        "(request.kind.kind == 'Pod' && request.operation == 'UPDATE') || variables.pod.?nodeName.orValue('') == ''",
      message: 'must not name its node: leave out nodeName, the scheduler keeps to the regions',
    },
    {
      expression:
        `[${[regionLabel, 'failure-domain.beta.kubernetes.io/region'].map(celText).join(', ')}].all(key, ` +
        '!(key in variables.selector) || variables.selector[key] in variables.regions)',
      messageExpression: `'nodeSelector names a region outside [' + ${toldRegions} + ']'`,
    },
    {
      expression: `!(${celText(zoneLabel)} in variables.selector) || variables.regions.exists(region, variables.selector[${celText(zoneLabel)}].startsWith(region + '-') || region.startsWith('onprem-'))`,
      messageExpression: `'nodeSelector names a zone outside [' + ${toldRegions} + ']'`,
    },
    {
      expression:
        "variables.pod.?schedulerName.orValue('default-scheduler') == 'default-scheduler'",
      message: 'must be placed by the default scheduler: another might not keep to the regions',
    },
    {
      expression: '!variables.pod.?hostNetwork.orValue(false)',
      message:
        'must not use the network of its node: the policies of the network would not hold it',
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
  ],
};

/** Who puts a pod onto a node. */
const binds: Policy = {
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
      message: 'only the scheduler puts pods of a cell onto nodes: it keeps to their region',
    },
  ],
};

/** What a name inside the cell leads to. */
const names: Policy = {
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
      message: 'a service of a cell must not be an ExternalName: its name would lead anywhere',
    },
    {
      expression:
        "request.kind.kind != 'Service' || object.spec.?externalIPs.orValue([]).size() == 0",
      message: 'a service of a cell must not have externalIPs: they could be anywhere',
    },
    {
      expression: "request.kind.kind != 'Service' || object.spec.?selector.orValue({}).size() > 0",
      message: 'a service of a cell must select pods of the cell: it has no selector',
    },
    {
      expression: `request.kind.kind == 'Service' || request.userInfo.username in ${listOf(endpointControllers)}`,
      message: 'only the controllers say which addresses a service of a cell has: its own pods',
    },
  ],
};

const volumes: Policy = {
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

function volumesOfCluster({ spec }: CellPlan): Policy {
  return {
    name: 'volumes',
    ofCluster: true,
    rules: [v1('', 'persistentvolumes')],
    conditions: [
      {
        name: 'for-the-cell',
        expression: `object.spec.?claimRef.?namespace.orValue('') == ${celText(spec.namespace)}`,
      },
      {
        name: 'changes-the-spec',
        expression: "request.operation == 'CREATE' || object.spec != oldObject.spec",
      },
    ],
    variables: [
      regions,
      {
        name: 'terms',
        expression: 'object.spec.?nodeAffinity.?required.?nodeSelectorTerms.orValue([])',
      },
    ],
    validations: [
      {
        expression:
          'variables.terms.size() > 0 && variables.terms.all(term, term.?matchExpressions.orValue([]).exists(one, ' +
          `one.key in [${placeKeys.map(celText).join(', ')}] && one.operator == 'In' && ` +
          "(one.key == 'kubernetes.io/hostname' || one.values.all(value, variables.regions.exists(region, " +
          "value == region || value.startsWith(region + '-'))))))",
        messageExpression: `'a volume of a cell must be tied to a region of [' + ${toldRegions} + '] by its node affinity'`,
      },
      {
        expression: ['azureFile', 'cephfs', 'glusterfs', 'iscsi', 'nfs']
          .map((name) => `!has(object.spec.${name})`)
          .join(' && '),
        message: 'a volume of a cell must not be a share of the network: it could lie anywhere',
      },
    ],
  };
}

/** What opens the walls of the network: only the operator writes it. */
function borders({ operatorUser }: CellPlan): Policy {
  return {
    name: 'borders',
    rules: [v1('networking.k8s.io', 'networkpolicies')],
    validations: [
      {
        expression: `request.userInfo.username == ${celText(operatorUser)}`,
        message: `only the operator (${operatorUser}) writes the network policies of a cell: they follow from the Cell`,
      },
    ],
  };
}

function policyObject(plan: CellPlan, policy: Policy): KubeObject {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: policyName(policy.name), labels: labelsOf(plan) },
    spec: {
      failurePolicy: 'Fail',
      paramKind: { apiVersion: `${resourceGroup}/${resourceVersion}`, kind: 'Cell' },
      // With the API server's defaults, since the whole is compared.
      matchConstraints: {
        matchPolicy: 'Equivalent',
        namespaceSelector: {},
        objectSelector: {},
        resourceRules: policy.rules.map((rule) => ({ ...rule, scope: '*' })),
      },
      ...(policy.conditions && { matchConditions: policy.conditions }),
      ...(policy.variables && { variables: policy.variables }),
      validations: policy.validations.map((one) => ({ ...one, reason: 'Forbidden' })),
    },
  };
}

function binding(plan: CellPlan, policy: Policy): KubeObject {
  const name = policyName(policy.name);
  const { namespace } = plan.spec;
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name, labels: labelsOf(plan) },
    spec: {
      policyName: name,
      validationActions: ['Deny'],
      paramRef: { name: plan.name, parameterNotFoundAction: 'Deny' },
      ...(policy.ofCluster !== true && {
        // By its name, which the API server sets itself: any other label could be taken off.
        matchResources: {
          matchPolicy: 'Equivalent',
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
          objectSelector: {},
        },
      }),
    },
  };
}

import { lowerCountry } from '@domicile/core/identities.ts';
import {
  configFiles,
  kafkaAccess,
  lakeAccess,
  listensAt,
  pathOf,
  scratch,
  secretFiles,
  settings,
  together,
} from './access.ts';
import type { CellPlan } from './plan.ts';
import { retentionDaysOf } from './store.ts';
import { adminPort, type Component, type Workload } from './workload.ts';

export const mqttsPort = 8883;
export const apiPort = 8080;
export const estPort = 8444;
/** Secrets `issuer-enrolments-0` and on: a Secret has at most 1 MiB. */
export const enrolmentShards = 8;

/** Secrets and ConfigMaps that several workloads know. */
export const authorityName = 'cell-authority';
export const doorSecrets = { serving: 'door-serving', raw: 'door-raw', commands: 'door-commands' };
/** Serial numbers of revoked certificates, one a line: people write it, the operator only sees to it that it is there. */
export const revokedConfig = 'revoked-certificates';
export const revokedKey = 'revoked.txt';
export const webConfig = 'web-config';
export const issuerState = 'issuer-state';

/** How often what is new in a bucket is looked for: each look costs requests. Newer readings come from Kafka. */
const bucketRefreshMs = '5000';

const defaults = {
  kind: 'Deployment',
  rollout: 'surge',
  ports: [],
  serviceType: 'ClusterIP',
  accepts: [],
  answersOperator: false,
  graceSeconds: 40,
  lingerSeconds: 0,
  cpu: '100m',
  memory: '512Mi',
  keeps: [],
} as const;

/** The processes of a cell, in the order of a reading's way. */
export function workloadsOf(plan: CellPlan): Workload[] {
  return [
    broker(plan),
    tasks(plan),
    fileWriter(plan, 'lander', ['landing', 'serving']),
    fileWriter(plan, 'serving-builder', ['serving']),
    commands(plan),
    servingApi(plan),
    rawApi(plan),
    issuer(plan),
    apiGateway(plan),
    ...(plan.spec.web.enabled ? [web(plan)] : []),
  ];
}

/** How the cell's own API is called from outside. */
export function apiAddressOf({ spec }: CellPlan): string {
  const { host } = spec.api;
  return (
    spec.cells[spec.country] ??
    (host === undefined ? addressOf('api-gateway', apiPort, spec.namespace) : `https://${host}`)
  );
}

function addressOf(component: Component, port: number, namespace: string, scheme = 'http') {
  return `${scheme}://${component}.${namespace}.svc:${port}`;
}

function common({ spec }: CellPlan) {
  return settings({ NODE_ENV: 'production', CELL_COUNTRY: spec.country });
}

const kafkaOf = ({ spec, hasKafkaCa }: CellPlan, principal: Parameters<typeof kafkaAccess>[1]) =>
  kafkaAccess(spec, principal, { hasCa: hasKafkaCa });

function broker(plan: CellPlan): Workload {
  const { replicas, serviceType } = plan.spec.broker;
  return {
    ...defaults,
    name: 'broker',
    entry: 'platform/broker/src/main.ts',
    replicas,
    serviceType,
    ports: [{ name: 'mqtts', port: mqttsPort }],
    accepts: [{ port: mqttsPort, from: 'anyone' }],
    reaches: [{ to: 'kafka' }],
    graceSeconds: 60,
    lingerSeconds: 5,
    memory: '1Gi',
    access: together(
      common(plan),
      kafkaOf(plan, 'broker'),
      listensAt('BROKER_HOST', 'ADMIN_HOST'),
      // Renewed files are taken in without a restart.
      secretFiles('broker-tls', { atStart: false }),
      configFiles(revokedConfig),
      settings({
        BROKER_MQTT_PORT: 'off',
        BROKER_MQTTS_PORT: `${mqttsPort}`,
        BROKER_TLS_CERT_FILE: pathOf('broker-tls', 'tls.crt'),
        BROKER_TLS_KEY_FILE: pathOf('broker-tls', 'tls.key'),
        BROKER_TLS_CA_FILE: pathOf('broker-tls', 'ca.crt'),
        BROKER_TLS_REVOKED_FILE: pathOf(revokedConfig, revokedKey),
        ADMIN_PORT: `${adminPort}`,
      }),
    ),
  };
}

function tasks(plan: CellPlan): Workload {
  return {
    ...defaults,
    name: 'tasks',
    entry: 'platform/stream/src/main.ts',
    // Each keeps its name across restarts, so that Kafka gives it its partitions back without a rebalance.
    kind: 'StatefulSet',
    replicas: plan.spec.stream.replicas,
    reaches: [{ to: 'kafka' }],
    memory: '1Gi',
    access: together(
      common(plan),
      kafkaOf(plan, 'task'),
      listensAt('TASK_HOST'),
      settings({ TASK_ADMIN_PORT: `${adminPort}` }),
      {
        ...settings({}),
        env: [
          { name: 'TASK_INSTANCE_ID', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        ],
      },
    ),
  };
}

/** A single one, and never two at once: what it writes is created once. */
function fileWriter(
  plan: CellPlan,
  name: 'lander' | 'serving-builder',
  buckets: Parameters<typeof lakeAccess>[2],
): Workload {
  return {
    ...defaults,
    name,
    entry: `platform/stream/src/${name}-main.ts`,
    replicas: 1,
    rollout: 'recreate',
    reaches: [{ to: 'kafka' }, { to: 'store' }],
    memory: '1Gi',
    access: together(
      common(plan),
      kafkaOf(plan, name),
      lakeAccess(plan.spec, 'writer', buckets),
      listensAt('ADMIN_HOST'),
      settings({ ADMIN_PORT: `${adminPort}` }),
      name === 'lander' ? landerSettings(plan) : servingBuilderSettings(plan),
    ),
  };
}

function landerSettings(plan: CellPlan) {
  return settings({
    LANDER_AUDIT_MS: '30000',
    LANDER_RETENTION_DAYS: `${retentionDaysOf(plan, 'landing')}`,
  });
}

function servingBuilderSettings(plan: CellPlan) {
  return settings({ SERVING_RETENTION_DAYS: `${retentionDaysOf(plan, 'serving')}` });
}

/** What stands behind the API gateway and answers it alone. */
function behindTheDoor() {
  return {
    ...defaults,
    ports: [{ name: 'http', port: apiPort }],
    accepts: [{ port: apiPort, from: ['api-gateway'] as const }],
    lingerSeconds: 5,
  };
}

function commands(plan: CellPlan): Workload {
  return {
    ...behindTheDoor(),
    name: 'commands',
    entry: 'platform/commands/src/main.ts',
    replicas: plan.spec.api.replicas,
    reaches: [{ to: 'kafka' }],
    access: together(
      common(plan),
      kafkaOf(plan, 'commands'),
      secretFiles(doorSecrets.commands, { atStart: true }),
      listensAt('COMMANDS_HOST'),
      settings({
        COMMANDS_PORT: `${apiPort}`,
        COMMANDS_ADMIN_PORT: `${adminPort}`,
        COMMANDS_INTERNAL_SECRET_FILE: pathOf(doorSecrets.commands, 'secret'),
      }),
    ),
  };
}

function servingApi(plan: CellPlan): Workload {
  const { spec } = plan;
  return {
    ...behindTheDoor(),
    name: 'serving-api',
    entry: 'platform/data-api/src/serving-main.ts',
    replicas: spec.api.replicas,
    replicasMax: spec.api.replicasMax,
    answersOperator: true,
    reaches: [{ to: 'kafka' }, { to: 'store' }],
    memory: '1Gi',
    access: together(
      common(plan),
      kafkaOf(plan, 'serving'),
      lakeAccess(spec, 'serving-reader', ['serving']),
      secretFiles(doorSecrets.serving, { atStart: true }),
      listensAt('SERVING_HOST'),
      settings({
        SERVING_PORT: `${apiPort}`,
        SERVING_ADMIN_PORT: `${adminPort}`,
        SERVING_INTERNAL_SECRET_FILE: pathOf(doorSecrets.serving, 'secret'),
        SERVING_REFRESH_MS: bucketRefreshMs,
        SERVING_RESIDENCY_EVERY_MS: '30000',
        SERVING_PLACES: JSON.stringify({
          kafkaRacks: spec.regions,
          lakeLocation: spec.lake.region,
        }),
      }),
    ),
  };
}

function rawApi(plan: CellPlan): Workload {
  const { spec } = plan;
  return {
    ...behindTheDoor(),
    name: 'raw-api',
    entry: 'platform/data-api/src/raw-main.ts',
    replicas: spec.api.replicas,
    reaches: [{ to: 'kafka' }, { to: 'store' }],
    memory: '3Gi',
    access: together(
      common(plan),
      kafkaOf(plan, 'raw'),
      lakeAccess(spec, 'raw-reader', ['landing', 'serving']),
      secretFiles(doorSecrets.raw, { atStart: true }),
      listensAt('RAW_HOST'),
      scratch('scratch', '/scratch', '4Gi'),
      scratch('cache', '/cache', '5Gi'),
      settings({
        // The query engine and the files wait for the disk side by side.
        UV_THREADPOOL_SIZE: '16',
        RAW_PORT: `${apiPort}`,
        RAW_ADMIN_PORT: `${adminPort}`,
        RAW_INTERNAL_SECRET_FILE: pathOf(doorSecrets.raw, 'secret'),
        RAW_REFRESH_MS: bucketRefreshMs,
        RAW_SCRATCH_DIR: '/scratch',
        RAW_CACHE_DIR: '/cache',
      }),
    ),
  };
}

function issuer(plan: CellPlan): Workload {
  const sources = Array.from({ length: enrolmentShards }, (_, shard) => ({
    secret: { name: `issuer-enrolments-${shard}`, optional: true },
  }));
  return {
    ...defaults,
    name: 'issuer',
    entry: 'platform/issuer/src/main.ts',
    replicas: 1,
    rollout: 'recreate',
    serviceType: plan.spec.enrolment.serviceType,
    ports: [{ name: 'est', port: estPort }],
    // Gateways renew here by the certificate that they have.
    accepts: [{ port: estPort, from: 'anyone' }],
    reaches: [],
    memory: '256Mi',
    keeps: plan.hasStorage ? [{ name: issuerState, size: '1Gi' }] : [],
    access: together(
      common(plan),
      secretFiles(authorityName, { atStart: true }),
      secretFiles('issuer-tls', { atStart: true }),
      listensAt('ISSUER_HOST'),
      {
        ...settings({}),
        volumes: [{ name: 'enrolments', projected: { defaultMode: 0o440, sources } }],
        mounts: [{ name: 'enrolments', mountPath: '/enrolments', readOnly: true }],
      },
      plan.hasStorage
        ? {
            ...settings({}),
            volumes: [{ name: issuerState, persistentVolumeClaim: { claimName: issuerState } }],
            mounts: [{ name: issuerState, mountPath: '/state' }],
          }
        : scratch(issuerState, '/state', '1Gi'),
      settings({
        ISSUER_PORT: `${estPort}`,
        ISSUER_ADMIN_PORT: `${adminPort}`,
        ISSUER_CA_CERT_FILE: pathOf(authorityName, 'tls.crt'),
        ISSUER_CA_KEY_FILE: pathOf(authorityName, 'tls.key'),
        ISSUER_TLS_CERT_FILE: pathOf('issuer-tls', 'tls.crt'),
        ISSUER_TLS_KEY_FILE: pathOf('issuer-tls', 'tls.key'),
        ISSUER_ENROLMENTS_DIR: '/enrolments',
        ISSUER_STATE_DIR: '/state',
      }),
    ),
  };
}

function apiGateway(plan: CellPlan): Workload {
  const { spec } = plan;
  const { namespace, country, api } = spec;
  const cells = { ...spec.cells, [country]: apiAddressOf(plan) };
  const behind = { to: 'component', port: apiPort } as const;
  const jwksAddress = /^https?:/.test(api.jwks) ? [{ to: 'address', url: api.jwks } as const] : [];
  return {
    ...defaults,
    name: 'api-gateway',
    entry: 'platform/api-gateway/src/main.ts',
    replicas: api.replicas,
    replicasMax: api.replicasMax,
    serviceType: api.serviceType,
    ports: [{ name: 'http', port: apiPort }],
    accepts: [{ port: apiPort, from: 'anyone' }],
    reaches: [
      { ...behind, component: 'serving-api' },
      { ...behind, component: 'raw-api' },
      { ...behind, component: 'commands' },
      { to: 'component', component: 'issuer', port: estPort },
      ...jwksAddress,
    ],
    lingerSeconds: 5,
    access: together(
      settings({ NODE_ENV: 'production', GATEWAY_COUNTRY: country }),
      ...Object.values(doorSecrets).map((name) => secretFiles(name, { atStart: true })),
      publicAuthority(),
      listensAt('GATEWAY_HOST'),
      settings({
        GATEWAY_PORT: `${apiPort}`,
        GATEWAY_ADMIN_PORT: `${adminPort}`,
        GATEWAY_ISSUER: api.issuer,
        GATEWAY_JWKS: api.jwks,
        GATEWAY_INTERNAL_SECRET_FILE: pathOf(doorSecrets.serving, 'secret'),
        GATEWAY_RAW_SECRET_FILE: pathOf(doorSecrets.raw, 'secret'),
        GATEWAY_COMMANDS_SECRET_FILE: pathOf(doorSecrets.commands, 'secret'),
        GATEWAY_SERVING_URL: addressOf('serving-api', apiPort, namespace),
        GATEWAY_RAW_URL: addressOf('raw-api', apiPort, namespace),
        GATEWAY_COMMANDS_URL: addressOf('commands', apiPort, namespace),
        GATEWAY_EST_URL: addressOf('issuer', estPort, namespace, 'https'),
        // To renew, a gateway shows its certificate to the issuer itself.
        GATEWAY_EST_RENEWAL_URL: spec.enrolment.url?.replace(/\/+$/, ''),
        GATEWAY_EST_CA_FILE: pathOf('authority', 'ca.crt'),
        GATEWAY_CELLS: Object.entries(cells)
          .map(([of, address]) => `${of}=${address}`)
          .join(','),
        GATEWAY_WEB_ORIGINS: api.webOrigins.length > 0 ? [...api.webOrigins].join(',') : undefined,
      }),
    ),
  };
}

/** The certificate of the cell's authority, without its key. */
function publicAuthority() {
  return {
    ...configFiles('authority'),
    volumes: [{ name: 'authority', configMap: { name: authorityName } }],
    // The Secret that it is the public half of.
    readAtStart: [authorityName],
  };
}

function web(plan: CellPlan): Workload {
  return {
    ...defaults,
    name: 'web',
    entry: 'platform/api-gateway/src/web-main.ts',
    replicas: plan.spec.web.replicas,
    ports: [{ name: 'http', port: apiPort }],
    accepts: [{ port: apiPort, from: 'anyone' }],
    reaches: [],
    lingerSeconds: 5,
    memory: '256Mi',
    access: together(
      settings({ NODE_ENV: 'production' }),
      configFiles(webConfig),
      listensAt('WEB_HOST'),
      settings({
        WEB_PORT: `${apiPort}`,
        WEB_ADMIN_PORT: `${adminPort}`,
        WEB_FILES: '/app/platform/web/dist',
        WEB_CONFIG_FILE: pathOf(webConfig, 'config.json'),
      }),
    ),
  };
}

/** What the page reads beside its files. */
export function webConfigOf(plan: CellPlan) {
  const { spec, pack } = plan;
  const addresses = { ...spec.cells, [spec.country]: apiAddressOf(plan) };
  return {
    issuer: spec.api.issuer,
    clientId: 'domicile-web',
    cells: Object.entries(addresses).map(([country, api]) => ({
      country,
      name: country === spec.country ? pack.name : country,
      api,
      audience: `domicile:${country.toLowerCase()}`,
    })),
    country: lowerCountry(spec.country),
  };
}

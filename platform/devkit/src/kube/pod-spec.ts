import { z } from 'zod';

/** What the kubelet reads of a pod; all else is ignored. */
const keyRef = z.looseObject({
  name: z.string(),
  key: z.string(),
  optional: z.boolean().default(false),
});
const objectRef = z.looseObject({ name: z.string(), optional: z.boolean().default(false) });

const envSchema = z.looseObject({
  name: z.string(),
  value: z.string().default(''),
  valueFrom: z
    .looseObject({
      secretKeyRef: keyRef.optional(),
      configMapKeyRef: keyRef.optional(),
      fieldRef: z.looseObject({ fieldPath: z.string() }).optional(),
    })
    .optional(),
});

const port = z.union([z.number(), z.string()]);
const probeSchema = z.looseObject({
  httpGet: z
    .looseObject({
      path: z.string().default('/'),
      port,
      scheme: z.enum(['HTTP', 'HTTPS']).default('HTTP'),
      host: z.string().optional(),
    })
    .optional(),
  tcpSocket: z.looseObject({ port }).optional(),
  exec: z.looseObject({ command: z.array(z.string()) }).optional(),
  initialDelaySeconds: z.number().default(0),
  periodSeconds: z.number().default(10),
  timeoutSeconds: z.number().default(1),
  failureThreshold: z.number().default(3),
  successThreshold: z.number().default(1),
});
export type ProbeSpec = z.output<typeof probeSchema>;

const mountSchema = z.looseObject({
  name: z.string(),
  mountPath: z.string(),
  subPath: z.string().default(''),
});

const containerSchema = z.looseObject({
  name: z.string(),
  image: z.string().default(''),
  command: z.array(z.string()).default([]),
  args: z.array(z.string()).default([]),
  workingDir: z.string().default('/app'),
  env: z.array(envSchema).default([]),
  envFrom: z
    .array(
      z.looseObject({
        prefix: z.string().default(''),
        secretRef: objectRef.optional(),
        configMapRef: objectRef.optional(),
      }),
    )
    .default([]),
  volumeMounts: z.array(mountSchema).default([]),
  ports: z
    .array(z.looseObject({ name: z.string().default(''), containerPort: z.number() }))
    .default([]),
  startupProbe: probeSchema.optional(),
  readinessProbe: probeSchema.optional(),
  livenessProbe: probeSchema.optional(),
  lifecycle: z
    .looseObject({
      preStop: z
        .looseObject({
          exec: z.looseObject({ command: z.array(z.string()) }).optional(),
          sleep: z.looseObject({ seconds: z.number() }).optional(),
        })
        .optional(),
    })
    .prefault({}),
});
export type ContainerSpec = z.output<typeof containerSchema>;

const items = z.array(z.looseObject({ key: z.string(), path: z.string() })).optional();
const fields = z.looseObject({
  items: z
    .array(
      z.looseObject({
        path: z.string(),
        fieldRef: z.looseObject({ fieldPath: z.string() }).optional(),
      }),
    )
    .default([]),
});
const optional = z.boolean().default(false);

const sourceSchema = z.looseObject({
  secret: z.looseObject({ name: z.string(), items, optional }).optional(),
  configMap: z.looseObject({ name: z.string(), items, optional }).optional(),
  downwardAPI: fields.optional(),
  serviceAccountToken: z
    .looseObject({
      path: z.string(),
      audience: z.string().default(''),
      expirationSeconds: z.number().default(3600),
    })
    .optional(),
});
export type VolumeSource = z.output<typeof sourceSchema>;

const volumeSchema = z.looseObject({
  name: z.string(),
  secret: z.looseObject({ secretName: z.string(), items, optional }).optional(),
  configMap: z.looseObject({ name: z.string(), items, optional }).optional(),
  downwardAPI: fields.optional(),
  projected: z.looseObject({ sources: z.array(sourceSchema).default([]) }).optional(),
  persistentVolumeClaim: z.looseObject({ claimName: z.string() }).optional(),
  emptyDir: z.looseObject({}).optional(),
});
export type VolumeSpec = z.output<typeof volumeSchema>;

export const podSchema = z.looseObject({
  metadata: z.looseObject({
    name: z.string(),
    namespace: z.string(),
    uid: z.string(),
    labels: z.record(z.string(), z.string()).default({}),
    annotations: z.record(z.string(), z.string()).default({}),
    deletionTimestamp: z.string().optional(),
    deletionGracePeriodSeconds: z.number().optional(),
  }),
  spec: z.looseObject({
    nodeName: z.string().optional(),
    serviceAccountName: z.string().default('default'),
    restartPolicy: z.enum(['Always', 'OnFailure', 'Never']).default('Always'),
    containers: z.array(containerSchema),
    initContainers: z.array(containerSchema).default([]),
    volumes: z.array(volumeSchema).default([]),
  }),
  status: z.looseObject({ phase: z.string().default('Pending') }).prefault({}),
});
export type Pod = z.output<typeof podSchema>;

/** The value of a `fieldRef`; undefined for a path that is not known here. */
export function fieldOf(pod: Pod, path: string, podIp: string): string | undefined {
  const { metadata, spec } = pod;
  const keyed = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (keyed !== null) {
    const held = keyed[1] === 'labels' ? metadata.labels : metadata.annotations;
    return held[keyed[2] ?? ''] ?? '';
  }
  const known: Readonly<Record<string, string>> = {
    'metadata.name': metadata.name,
    'metadata.namespace': metadata.namespace,
    'metadata.uid': metadata.uid,
    'spec.nodeName': spec.nodeName ?? '',
    'spec.serviceAccountName': spec.serviceAccountName,
    'status.podIP': podIp,
    'status.podIPs': podIp,
    'status.hostIP': '127.0.0.1',
  };
  return known[path];
}

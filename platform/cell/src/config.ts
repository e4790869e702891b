import { portSetting, readEnvironment } from '@domicile/runtime/environment.ts';
import { z } from 'zod';

export const demoSettings = z.object({
  DEMO_DIR: z
    .string()
    .default('.domicile/demo')
    .describe('Where the demo keeps everything; make demo-clean removes it'),
  DEMO_FILE: z
    .string()
    .default('.domicile/demo.json')
    .describe('Where addresses, log-ins and tokens are written'),
  DEMO_WEB_PORT: portSetting.default(8080).describe('The port of the web app, if it is free'),
  DEMO_BROKERS: z.coerce
    .number()
    .int()
    .min(1)
    .max(4)
    .default(1)
    .describe('MQTT brokers side by side in each country'),
  DEMO_REPLAY: z
    .stringbool()
    .default(true)
    .describe('Whether gateways replay the recordings into the buildings of the demo'),
  DEMO_LANDING_FLUSH_MS: z.coerce
    .number()
    .int()
    .min(1_000)
    .default(20_000)
    .describe('How long a reading waits at most for its Parquet file'),
  DEMO_SERVING_FLUSH_MS: z.coerce
    .number()
    .int()
    .min(1_000)
    .default(15_000)
    .describe('How often the serving layer is written'),
});

export type DemoConfig = Readonly<z.output<typeof demoSettings>>;

export function readConfig(env = process.env): DemoConfig {
  return readEnvironment(demoSettings, env);
}

export const brokerOpenSettings = z.object({
  PORT: portSetting.default(1883).describe('Where the first replica listens; the others follow it'),
  REPLICAS: z.coerce.number().int().min(1).max(8).default(1).describe('Replicas side by side'),
});

export function readBrokerOpenConfig(env = process.env): z.output<typeof brokerOpenSettings> {
  return readEnvironment(brokerOpenSettings, env);
}

export const kubeSettings = z.object({
  COUNTRY: z
    .string()
    .regex(/^[A-Za-z]{2}$/)
    .default('de')
    .describe('The country of the cluster: the name of a pack in regions/'),
  KUBE_BROKERS: z
    .enum(['1', '3'])
    .default('3')
    .transform((count) => (count === '3' ? 3 : 1))
    .describe('Brokers of its Kafka, about 150 MB each'),
});

export function readKubeConfig(env = process.env): z.output<typeof kubeSettings> {
  return readEnvironment(kubeSettings, env);
}

/** The environment of a process that we start: what the machine needs, and nothing that was meant for us. */
export function baseEnvironment(env = process.env): Record<string, string> {
  const kept = ['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR'];
  return Object.fromEntries(kept.flatMap((name) => (env[name] ? [[name, env[name]]] : [])));
}

import { type Environment, portSetting, readEnvironment } from '@domicile/runtime/environment.ts';
import { z } from 'zod';

export const toolSettings = z.object({
  KUBECONFIG: z
    .string()
    .optional()
    .describe(
      'The kubeconfig file; of several between colons the first. --kubeconfig goes before it',
    ),
  HOME: z.string().optional().describe('Where `.kube/config` is, if KUBECONFIG is not set'),
  OPERATOR_REGIONS_DIR: z
    .string()
    .optional()
    .describe('The folder of the country packs; unset: `regions/` of this checkout'),
  SERVICE_ACCOUNT_DIR: z
    .string()
    .default('/var/run/secrets/kubernetes.io/serviceaccount')
    .describe('In a pod: the folder with `token`, `ca.crt` and `namespace`'),
  KUBERNETES_SERVICE_HOST: z.string().optional().describe('In a pod: the API server'),
  KUBERNETES_SERVICE_PORT: portSetting.default(443).describe('In a pod: its port'),
});

export type ToolConfig = Readonly<z.output<typeof toolSettings>>;

export function readConfig(env: Environment = process.env): ToolConfig {
  return readEnvironment(toolSettings, env);
}

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Kube } from '../runtime/kube.ts';
import { openAccess, openKube } from '../runtime/open-kube.ts';
import type { ToolConfig } from './config.ts';

/** By `--kubeconfig`, KUBECONFIG or `~/.kube/config`, in a pod by its service account. Throws `CONFIG_INVALID`. Dispose it. */
export async function openToolKube(
  config: ToolConfig,
  kubeconfig: string | undefined,
): Promise<{ readonly kube: Kube } & Disposable> {
  const ofHome = config.HOME === undefined ? undefined : join(config.HOME, '.kube/config');
  const [ofEnvironment] = config.KUBECONFIG?.split(':') ?? [];
  const inPod = config.KUBERNETES_SERVICE_HOST !== undefined;
  const usual = !inPod && ofHome !== undefined && existsSync(ofHome) ? ofHome : undefined;
  const OPERATOR_KUBECONFIG = kubeconfig ?? ofEnvironment ?? usual;
  return openKube(await openAccess({ ...config, OPERATOR_KUBECONFIG }));
}

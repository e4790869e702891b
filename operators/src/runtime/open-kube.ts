import { PlatformError } from '@domicile/core/errors.ts';
import { type KubeAccess, kubeconfigAccess, podAccess } from './kube-access.ts';
import { KubeClient } from './kube-client.ts';
import { KubeHttp } from './kube-http.ts';
import type { Kube } from './kube.ts';
import { RateLimiter } from './rate-limiter.ts';

export const fieldManager = 'domicile-operator';
export const userAgent = 'domicile-operator';

export interface AccessSettings {
  readonly OPERATOR_KUBECONFIG?: string | undefined;
  readonly SERVICE_ACCOUNT_DIR: string;
  readonly KUBERNETES_SERVICE_HOST?: string | undefined;
  readonly KUBERNETES_SERVICE_PORT: number;
}

/** By a kubeconfig file if one is set, else as the pod's service account. Throws `CONFIG_INVALID`. */
export async function openAccess(settings: AccessSettings): Promise<KubeAccess> {
  if (settings.OPERATOR_KUBECONFIG !== undefined)
    return kubeconfigAccess(settings.OPERATOR_KUBECONFIG);
  const host = settings.KUBERNETES_SERVICE_HOST;
  if (host === undefined)
    throw new PlatformError(
      'CONFIG_INVALID',
      'Cannot find the API server: set OPERATOR_KUBECONFIG outside of a cluster; in a pod KUBERNETES_SERVICE_HOST is set',
    );
  const accountDir = settings.SERVICE_ACCOUNT_DIR;
  return podAccess({ host, port: settings.KUBERNETES_SERVICE_PORT, accountDir });
}

/** For tools that ask once and end: no lease, a low rate. Dispose it. */
export function openKube(access: KubeAccess): { readonly kube: Kube } & Disposable {
  const http = new KubeHttp({ access, userAgent });
  const limiter = new RateLimiter({ perSecond: 50, burst: 100, waitMsMax: 60_000 });
  return {
    kube: new KubeClient({ http, limiter, fieldManager }),
    [Symbol.dispose]: () => http[Symbol.dispose](),
  };
}

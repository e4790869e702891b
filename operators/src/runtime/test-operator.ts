import { type KubeAccess, kubeconfigAccess } from './kube-access.ts';
import { KubeClient } from './kube-client.ts';
import { KubeHttp } from './kube-http.ts';
import type { KubeObject } from './kube.ts';
import type { Leadership } from './leadership.ts';
import { RateLimiter } from './rate-limiter.ts';

export interface TestClient extends Disposable {
  readonly access: KubeAccess;
  readonly http: KubeHttp;
  readonly kube: KubeClient;
  /** Methods of all requests so far. */
  readonly methods: string[];
}

export interface TestClientOptions {
  readonly fieldManager?: string;
  readonly leadership?: Leadership;
  readonly timeoutMs?: number;
}

/** A client of a real API server, with its requests counted. */
export async function testClient(
  kubeconfigPath: string,
  options: TestClientOptions = {},
): Promise<TestClient> {
  const { fieldManager = 'test-operator', leadership, timeoutMs } = options;
  const access = await kubeconfigAccess(kubeconfigPath);
  const methods: string[] = [];
  const http = new KubeHttp({
    access,
    userAgent: 'test',
    observe: (method) => void methods.push(method),
    ...(timeoutMs !== undefined && { timeoutMs }),
  });
  const limiter = new RateLimiter({ perSecond: 1_000, burst: 1_000, waitMsMax: 10_000 });
  const kube = new KubeClient({ http, limiter, fieldManager, ...(leadership && { leadership }) });
  return { access, http, kube, methods, [Symbol.dispose]: () => http[Symbol.dispose]() };
}

export function configMap(
  namespace: string,
  name: string,
  data: Readonly<Record<string, string>>,
): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data };
}

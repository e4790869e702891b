import { readFile } from 'node:fs/promises';
import type { Agent, RequestOptions } from 'node:https';
import { join } from 'node:path';
import { PlatformError } from '@domicile/core/errors.ts';

/** By what the API server is known, and we to it. PEM. */
export interface KubeTls {
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

/** Where the API server is and how to come in. */
export interface KubeAccess {
  readonly server: URL;
  /** Of the context or of the pod. */
  readonly namespace: string | undefined;
  readonly tls: KubeTls;
  /** The header's value; `isRefused` when the last one was answered with 401. */
  authorization(isRefused: boolean): Promise<string | undefined>;
}

/** A token that was read is believed so long; the kubelet renews it at 80 % of its life, an hour by default. */
const tokenAgeMaxMs = 60_000;

export interface PodAccessOptions {
  /** KUBERNETES_SERVICE_HOST and _PORT. */
  readonly host: string;
  readonly port: number;
  /** With `token`, `ca.crt` and `namespace`. */
  readonly accountDir: string;
}

/** As a pod comes in: by the token of its service account, which is read again as it is renewed. */
export async function podAccess({ host, port, accountDir }: PodAccessOptions): Promise<KubeAccess> {
  const read = (name: string) => readFile(join(accountDir, name), 'utf8');
  const [ca, namespace] = await Promise.all([read('ca.crt'), read('namespace')]).catch(
    (error: unknown) => {
      throw new PlatformError(
        'CONFIG_INVALID',
        `Cannot read the service account in ${accountDir}: mount it, or set OPERATOR_KUBECONFIG outside of a cluster`,
        { cause: error },
      );
    },
  );
  const address = host.includes(':') ? `[${host}]` : host;
  return {
    server: new URL(`https://${address}:${port}`),
    namespace: namespace.trim(),
    tls: { ca },
    authorization: agedAtMost(tokenAgeMaxMs, async () => `Bearer ${(await read('token')).trim()}`),
  };
}

/** As a user comes in by a kubeconfig file, programs and identity providers included. */
export async function kubeconfigAccess(path: string): Promise<KubeAccess> {
  // 85 MB of memory, which a pod has no need of.
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  try {
    config.loadFromFile(path);
  } catch (error) {
    throw new PlatformError('CONFIG_INVALID', `Cannot read the kubeconfig ${path}`, {
      cause: error,
    });
  }
  const cluster = config.getCurrentCluster();
  const user = config.getCurrentUser();
  if (cluster === null || user === null)
    throw new PlatformError(
      'CONFIG_INVALID',
      `Cannot use the kubeconfig ${path}: its current context names no cluster or no user`,
    );
  const credentials = [user.token, user.certData, user.certFile, user.exec, user.authProvider];
  if (![...credentials, user.username].some((one) => one !== undefined && one !== null))
    throw new PlatformError(
      'CONFIG_INVALID',
      `Cannot use the kubeconfig ${path}: user ${user.name} has no token, certificate, exec or auth-provider (tokenFile is not read)`,
    );
  const options = async (): Promise<RequestOptions> => {
    const made: RequestOptions = {};
    await config.applyToHTTPSOptions(made);
    return made;
  };
  const { ca, cert, key, servername, rejectUnauthorized, agent } = await options();
  if (isAgent(agent)) agent.destroy();
  return {
    server: new URL(cluster.server),
    namespace: config.getContextObject(config.getCurrentContext())?.namespace,
    tls: {
      ...pem('ca', ca),
      ...pem('cert', cert),
      ...pem('key', key),
      ...(servername !== undefined && { servername }),
      ...(rejectUnauthorized !== undefined && { rejectUnauthorized }),
    },
    authorization: agedAtMost(tokenAgeMaxMs, async () => headerOf(await options())),
  };
}

function headerOf({ headers, auth }: RequestOptions): string | undefined {
  if (typeof auth === 'string') return `Basic ${Buffer.from(auth).toString('base64')}`;
  if (headers === undefined || Array.isArray(headers)) return undefined;
  const value = Object.entries(headers).find(([name]) => name.toLowerCase() === 'authorization');
  return value === undefined ? undefined : String(value[1]);
}

function pem<Name extends string>(
  name: Name,
  value: unknown,
): Partial<Record<Name, string | Buffer>> {
  const one: Partial<Record<string, string | Buffer>> = {};
  if (typeof value === 'string' || Buffer.isBuffer(value)) one[name] = value;
  return one;
}

function isAgent(agent: RequestOptions['agent']): agent is Agent {
  return typeof agent === 'object';
}

/** What `read` gave, at most that old; read anew at once when it was refused. One read at a time. */
function agedAtMost(
  ageMaxMs: number,
  read: () => Promise<string | undefined>,
): KubeAccess['authorization'] {
  let known: { readonly value: Promise<string | undefined>; readonly at: number } | undefined;
  return async (isRefused) => {
    const now = performance.now();
    if (known === undefined || isRefused || now - known.at > ageMaxMs) {
      const value = read();
      known = { value, at: now };
      value.catch(() => (known = undefined));
    }
    return known.value;
  };
}

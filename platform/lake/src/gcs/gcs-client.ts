import { PlatformError } from '@domicile/core/errors.ts';
import { Storage } from '@google-cloud/storage';
import { GoogleAuth, OAuth2Client } from 'google-auth-library';
import { z } from 'zod';
import { storeFault } from '../bucket/store-fault.ts';
import { type GcsKey, keyClient } from './gcs-key.ts';

const requestTimeoutMs = 30_000;

export interface GcsOptions {
  /** Absent: Google's. */
  readonly endpoint?: string | undefined;
  /** Absent: what the environment gives, as workload identity does. */
  readonly key?: GcsKey | undefined;
}

export interface GcsAccess {
  readonly storage: Storage;
  /** The token is asked for anew at the next call. */
  forgetToken(): void;
}

/** The client, told to try once: it is asked again here, where a lost answer is recognised. */
export function openGcs({ endpoint, key }: GcsOptions): GcsAccess {
  const authClient =
    key === undefined
      ? new GoogleAuth({ scopes: 'https://www.googleapis.com/auth/devstorage.full_control' })
      : keyClient(key);
  const storage = new Storage({
    ...(endpoint !== undefined && {
      apiEndpoint: endpoint.replace(/\/$/, ''),
      // Without it the client sends no authorisation to an endpoint that is not Google's.
      useAuthWithCustomEndpoint: true,
    }),
    ...(key !== undefined && { projectId: key.project_id }),
    authClient,
    timeout: requestTimeoutMs,
    retryOptions: { autoRetry: false },
  });
  // What opens a resumable upload looks for it here, where the client itself does not put it.
  if (endpoint !== undefined) Object.assign(storage, { useAuthWithCustomEndpoint: true });
  return {
    storage,
    forgetToken() {
      if (authClient instanceof OAuth2Client) authClient.setCredentials({});
    },
  };
}

const failureSchema = z.object({
  message: z.string().default(''),
  code: z.union([z.number(), z.string()]).optional(),
  response: z
    .object({ statusCode: z.number().optional(), status: z.number().optional() })
    .optional(),
});

/** The status of what the client threw; undefined if nothing answered. */
export function statusOf(error: unknown): number | undefined {
  const read = failureSchema.safeParse(error);
  if (!read.success) return undefined;
  const { code, response } = read.data;
  const said = Number(code);
  if (said >= 100 && said < 600) return said;
  return response?.statusCode ?? response?.status;
}

/** A 404 speaks of the object or of its bucket, by its message alone. */
export function isMissingBucket(error: unknown): boolean {
  return statusOf(error) === 404 && error instanceof Error && /bucket does not/.test(error.message);
}

const networkNames: ReadonlySet<string> = new Set(['AbortError', 'FetchError', 'TimeoutError']);

/** Any other error without a status is a fault of this program. */
function isOfNetwork(error: Error): boolean {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (networkNames.has(error.name) || /^E[A-Z]+$|^UND_/.test(code)) return true;
  return error instanceof TypeError && /^(?:fetch failed|terminated)$/.test(error.message);
}

/** Every failure of the client in the platform's words; messages hold no key and no name of a bucket. */
export function gcsFault(error: unknown): unknown {
  if (error instanceof PlatformError || !(error instanceof Error)) return error;
  const status = statusOf(error);
  const cause = { cause: error };
  if (status === 409)
    return new PlatformError('CONFLICT', 'Cannot write: it is there already', cause);
  if (status === 412)
    return new PlatformError('PRECONDITION_FAILED', 'Cannot write: it has changed since', cause);
  return storeFault({
    error,
    status,
    isMissingBucket: isMissingBucket(error),
    isRefused: status === 403,
    isInvalid: status === 400,
    isOfNetwork: isOfNetwork(error),
  });
}

export interface GcsCall {
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'PUT';
  /** Below the API's root, without a slash before it. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** As JSON. */
  readonly body?: unknown;
}

/** A call of the JSON API with the client's authorisation, for what the client itself does not do within a deadline. */
export async function callGcs({ storage }: GcsAccess, call: GcsCall): Promise<Response> {
  const { method = 'GET', path, query = {}, headers = {}, body } = call;
  const url = `${storage.baseUrl.replace(/\/$/, '')}/${path}?${new URLSearchParams(query).toString()}`;
  const authorisation = await storage.authClient.getRequestHeaders(url);
  const answer = await fetch(url, {
    method,
    headers: {
      ...Object.fromEntries(authorisation),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(requestTimeoutMs),
  });
  if (answer.ok) return answer;
  throw Object.assign(new Error(messageOf(await answer.text())), { code: answer.status });
}

function messageOf(body: string): string {
  const said = /"message":\s*"((?:[^"\\]|\\.)*)"/.exec(body)?.[1] ?? body;
  return said.slice(0, 500);
}

/** Runs a call of the client, which is asked once; only after a token that is refused, once more with a new one. */
export async function asked<Value>(access: GcsAccess, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work().catch(async (error: unknown) => {
      if (statusOf(error) !== 401) throw error;
      access.forgetToken();
      return work();
    });
  } catch (error) {
    throw gcsFault(error);
  }
}

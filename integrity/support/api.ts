import { waitFor } from '@domicile/devkit/wait-for.ts';

/** Asks as a client with this token would. */
export async function ask(
  api: string,
  path: string,
  { token, ...init }: RequestInit & { token?: string } = {},
): Promise<Response> {
  const headers = new Headers(init.headers);
  if (token !== undefined) headers.set('authorization', `Bearer ${token}`);
  return fetch(`${api}${path}`, { signal: AbortSignal.timeout(20_000), ...init, headers });
}

/** The parsed body of a successful answer. */
export async function get<Body>(api: string, path: string, token: string): Promise<Body> {
  const response = await ask(api, path, { token });
  if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the tests compare what they read
  return (await response.json()) as Body;
}

/** The first answer that fits. */
export async function until<Body>(
  what: string,
  question: () => Promise<Body>,
  { fits, timeoutMs = 60_000 }: { fits: (body: Body) => boolean; timeoutMs?: number },
): Promise<Body> {
  let last: Body | undefined;
  let failure: unknown;
  const holds = async (): Promise<boolean> => {
    try {
      last = await question();
      return fits(last);
    } catch (error) {
      failure = error;
      return false;
    }
  };
  await waitFor(what, holds, timeoutMs).catch((error: unknown) => {
    throw new Error(`${String(error)}; last: ${JSON.stringify(last)?.slice(0, 1_000)}`, {
      cause: failure,
    });
  });
  if (last === undefined) throw new Error(`No answer: ${what}`, { cause: failure });
  return last;
}

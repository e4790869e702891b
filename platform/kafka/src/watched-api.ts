import type { API, Callback } from '@platformatic/kafka';

/** An API of the client whose outcome `watch` sees, and may change in place, before the caller does. */
export function watchedApi<Args extends unknown[], Response>(
  api: API<Args, Response>,
  watch: (failure: Error | null, response: unknown) => void,
): API<Args, Response> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the calls differ only in their arguments, which pass through
  const call = api as unknown as (...args: unknown[]) => void;
  const watched = (...args: unknown[]): void => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the last argument of every call is its callback
    const done = args.pop() as Callback<Response>;
    call(...args, (failure: Error | null, response?: Response) => {
      watch(failure, response);
      done(failure, response);
    });
  };
  const { async, key, version } = api;
  const wrapped: unknown = Object.assign(watched, { async, key, version });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the watched call has the shape of the one it wraps
  return wrapped as API<Args, Response>;
}

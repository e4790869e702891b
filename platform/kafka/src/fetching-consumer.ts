/**
 * The client's Consumer without its filter for READ_COMMITTED, which is wrong both ways: it lets aborted records pass whose
 * marker is not in the same response, and it removes committed ones that lie between an aborted transaction and a later
 * abort marker of the same producer. The filter looks at `abortedTransactions`, so these are taken out of its sight.
 */
import { type API, type Callback, Consumer, type fetchV17, kGetApi } from '@platformatic/kafka';

type Aborted = NonNullable<fetchV17.FetchResponsePartition['abortedTransactions']>;

const abortedOf = new WeakMap<object, Aborted>();

/** The aborted transactions that a response names for one of its partitions. */
export function abortedTransactionsOf(partition: fetchV17.FetchResponsePartition): Aborted {
  return abortedOf.get(partition) ?? partition.abortedTransactions ?? [];
}

export class FetchingConsumer extends Consumer {
  override [kGetApi]<Args extends unknown[], Response>(
    name: string,
    callback: Callback<API<Args, Response>>,
  ): void {
    super[kGetApi]<Args, Response>(name, (error, api) => {
      if (api === undefined || name !== 'Fetch') return callback(error, api);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the calls differ only in their arguments, which pass through
      const call = api as unknown as (...args: unknown[]) => void;
      const watched = (...args: unknown[]): void => {
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the last argument of every call is its callback
        const done = args.pop() as Callback<fetchV17.FetchResponse>;
        call(...args, (failure: Error | null, response?: fetchV17.FetchResponse) => {
          for (const { partitions } of response?.responses ?? []) partitions.forEach(hideAborted);
          done(failure, response);
        });
      };
      const { async, key, version } = api;
      const wrapped: unknown = Object.assign(watched, { async, key, version });
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the watched call has the shape of the one it wraps
      callback(null, wrapped as API<Args, Response>);
    });
  }
}

function hideAborted(partition: fetchV17.FetchResponsePartition): void {
  abortedOf.set(partition, partition.abortedTransactions ?? []);
  partition.abortedTransactions = null;
}

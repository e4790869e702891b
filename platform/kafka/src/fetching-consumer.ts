/**
 * The client's Consumer without its filter for READ_COMMITTED, which is wrong both ways: it lets aborted records pass whose
 * marker is not in the same response, and it removes committed ones that lie between an aborted transaction and a later
 * abort marker of the same producer. The filter looks at `abortedTransactions`, so these are taken out of its sight.
 */
import { type API, type Callback, Consumer, type fetchV17, kGetApi } from '@platformatic/kafka';
import { watchedApi } from './watched-api.ts';

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
      callback(null, watchedApi(api, hideAllAborted));
    });
  }
}

function hideAllAborted(_failure: Error | null, response: unknown): void {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it watches Fetch alone
  const fetched = response as fetchV17.FetchResponse | undefined;
  for (const { partitions } of fetched?.responses ?? []) partitions.forEach(hideAborted);
}

function hideAborted(partition: fetchV17.FetchResponsePartition): void {
  abortedOf.set(partition, partition.abortedTransactions ?? []);
  partition.abortedTransactions = null;
}

import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import { Admin } from '@platformatic/kafka';

/** Removes what stands before `offset` in a partition, as retention would. */
export async function cutPartition(
  client: ClientOptions,
  { topic: name, partition, offset }: { topic: string; partition: number; offset: bigint },
): Promise<void> {
  const admin = new Admin({ ...client, clientId: 'cutting' });
  try {
    await admin.deleteRecords({ topics: [{ name, partitions: [{ partition, offset }] }] });
  } finally {
    await admin.close();
  }
}

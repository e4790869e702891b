import { kafkaDiff, openCellAdmin } from '@domicile/kafka/cell-diff.ts';
import { identityOf, openBucketAdmin } from '@domicile/lake/admin/open-bucket-admin.ts';
import type { CellEnds } from './ports.ts';

export const realEnds: CellEnds = {
  openKafka: (access) => {
    const admin = openCellAdmin(access);
    return {
      brokers: async () =>
        (await admin.brokers()).map(({ id, host, rack }) => ({
          id,
          host,
          rack: rack ?? undefined,
        })),
      diff: (wish) => kafkaDiff(admin, wish),
      [Symbol.asyncDispose]: () => admin[Symbol.asyncDispose](),
    };
  },
  openStore: (access) => openBucketAdmin(access),
  identityOf,
};

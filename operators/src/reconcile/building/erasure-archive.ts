import { PlatformError } from '@domicile/core/errors.ts';
import {
  type ErasureReport,
  erasureFolder,
  readErasureReport,
} from '@domicile/lake/erasure/erasure.ts';
import type { ErasableStore } from '@domicile/lake/object-store.ts';
import { openBuckets } from '@domicile/lake/open-lake.ts';
import type { ErasurePassName } from '../../model/building/erasure-step.ts';
import type { Kube } from '../../runtime/kube.ts';
import { type CellInForce, secretData } from './cell-of.ts';

export type ArchiveStore = Pick<ErasableStore, 'get' | 'createOnly'>;

/** Opens the landing bucket as the eraser. */
export type OpenArchive = (cell: CellInForce) => Promise<ArchiveStore>;

export interface ErasureOf {
  readonly building: string;
  /** Of the resource that was deleted. */
  readonly id: string;
}

const passes: readonly ErasurePassName[] = ['export', 'erase', 'verify'];

/** What stands in the landing bucket of erasures: the eraser's reports, and the certificates. */
export class ErasureArchive {
  readonly #store: ArchiveStore;

  constructor(store: ArchiveStore) {
    this.#store = store;
  }

  async reports({ building, id }: ErasureOf): Promise<Map<ErasurePassName, ErasureReport>> {
    const found = new Map<ErasurePassName, ErasureReport>();
    for (const pass of passes) {
      const report = await readErasureReport(this.#store, { building, id, pass });
      if (report) found.set(pass, report);
    }
    return found;
  }

  certificate(of: ErasureOf): Promise<string | undefined> {
    return this.#store.get(certificateKey(of)).then((content) => content?.toString());
  }

  /** The one that is there already is answered as it is. */
  async keepCertificate(of: ErasureOf, jws: string): Promise<string> {
    await this.#store.createOnly(certificateKey(of), Buffer.from(jws));
    return (await this.certificate(of)) ?? jws;
  }
}

export function certificateKey({ building, id }: ErasureOf): string {
  return `${erasureFolder(building, id)}certificate.jws`;
}

/** By the Secret that the cell names for its eraser. */
export function archiveOpener(kube: Kube, namespace: string): OpenArchive {
  return async ({ spec }) => {
    const { store, endpoint, landingBucket, region, identities } = spec.lake;
    const secret = await secretData(kube, { name: identities.eraser, namespace });
    if (!secret)
      throw new PlatformError(
        'CONFIG_INVALID',
        `Cannot reach the store: create the Secret ${identities.eraser} in ${namespace}`,
      );
    const lake = await openBuckets({
      store,
      landingBucket,
      ...(endpoint !== undefined && { endpoint }),
      region,
      secret: Object.fromEntries(secret),
    });
    return lake.store;
  };
}

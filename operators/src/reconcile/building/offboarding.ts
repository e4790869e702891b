import { PlatformError } from '@domicile/core/errors.ts';
import type { BuildingFindings } from '../../model/building/building-conditions.ts';
import {
  buildingFinalizer,
  type BuildingResource,
  buildingResourceOf,
} from '../../model/building/building-resource.ts';
import type { Claim } from '../../model/building/claim.ts';
import { erasedRecord, offboardedRecord } from '../../model/building/publication.ts';
import { buildingKind } from '../../model/kinds.ts';
import type { KubeObject } from '../../runtime/kube.ts';
import type { Outcome } from '../../runtime/reconciler.ts';
import { type CellInForce, cellInForce } from './cell-of.ts';
import type { Erasures } from './erasure.ts';
import { noTokenSha256 } from './gateway-secrets.ts';
import { noCell, noCellMs } from './no-cell.ts';
import { type BuildingParts, isOvertaken } from './parts.ts';
import { recordIn, type Registry } from './registry-desk.ts';

/** One look at one building whose resource is being deleted. */
export class Offboarding {
  readonly #parts: BuildingParts;
  readonly #erasures: Erasures;
  readonly #seen: KubeObject;
  readonly #building: BuildingResource;
  /** Its gateway is refused by now. */
  #isOut = false;

  constructor(parts: BuildingParts, erasures: Erasures, object: KubeObject) {
    this.#parts = parts;
    this.#erasures = erasures;
    this.#seen = object;
    this.#building = buildingResourceOf(object);
  }

  async run(): Promise<Outcome> {
    if (!this.#building.finalizers.includes(buildingFinalizer)) return { kind: 'done' };
    const { cache, country } = this.#parts.ports;
    const cell = cellInForce(cache, country);
    if (!cell) return this.#awaitCell();
    try {
      return await this.#takeOut(cell);
    } catch (error) {
      if (isOvertaken(error)) throw error;
      await this.#tellFailure(error, cell);
      return { kind: 'failed', error };
    }
  }

  /**
   * The registry and the stores are still there, and may be served again: let go now, its gateway would come in then, and what
   * was to be erased would never be.
   */
  async #awaitCell(): Promise<Outcome> {
    const { name, namespace } = this.#building;
    const message = `There is no cell of ${this.#parts.ports.country}, so its gateway cannot be refused, nor anything erased: it is taken out when the chart domicile-cell is installed again. If it never is: kubectl -n ${namespace} patch building ${name} --type=merge -p '{"metadata":{"finalizers":null}}' lets it go: nothing of it is erased, and its gateway may come in by what it has if there is a cell again`;
    const erased = { status: 'Unknown', reason: 'WaitsForTheCell', message } as const;
    const erasure = erasureIn(this.#seen);
    await this.#parts.writeStatus(
      this.#seen,
      { residency: noCell(this.#parts.ports.country), erased },
      erasure === undefined ? {} : { erasure },
    );
    this.#parts.ports.events.record(this.#seen, {
      type: 'Warning',
      reason: erased.reason,
      action: 'TakeOut',
      note: message,
    });
    return { kind: 'again', afterMs: noCellMs };
  }

  async #takeOut(cell: CellInForce): Promise<Outcome> {
    const registry = await this.#parts.registries.of(cell);
    const { name, claim } = this.#building;
    const present = registry.entry(name);
    // Another resource has it: there is nothing of this one.
    if (present?.claim && present.claim.uid !== claim.uid) return this.#letGo();
    const isOut = await revoke(this.#parts, { cell, registry, building: name, claim });
    if (!isOut) return { kind: 'again', afterMs: overtakenMs };
    const entry = registry.entry(name);
    const revokedAtMs = entry?.sinceMs ?? this.#building.deletedAtMs ?? 0;
    this.#isOut = true;
    const look = await this.#erasures.look({
      cell,
      building: this.#building,
      revokedAtMs,
      markErased: () => this.#markErased(registry, revokedAtMs),
    });
    if (look.kind === 'retain') return this.#letGo();
    if (look.kind === 'erased') return this.#forget({ cell, registry }, look.certificate);
    const { finding, fields, afterMs } = look;
    await this.#parts.writeStatus(
      this.#seen,
      { ...outOf(cell), erased: finding },
      { cell: cell.spec.country, ...fields },
    );
    this.#parts.ports.events.record(this.#seen, {
      type: 'Normal',
      reason: finding.reason,
      action: 'Erase',
      note: finding.message,
    });
    return afterMs === undefined
      ? { kind: 'refused', reason: finding.reason }
      : { kind: 'again', afterMs };
  }

  async #markErased(registry: Registry, revokedAtMs: number): Promise<void> {
    const { name, claim } = this.#building;
    const entry = registry.entry(name);
    const record = entry && recordIn(entry.value);
    if (!record) return;
    const published = await registry.publish({
      building: name,
      claim,
      record: erasedRecord(record),
      // It is refused as long as before.
      sinceMs: revokedAtMs,
    });
    if (published.kind !== 'written' && published.kind !== 'same')
      throw new PlatformError('CONFLICT', 'Cannot erase: the registry knows a newer state of it');
  }

  /** Nothing is left of it but its certificate. */
  async #forget(
    { cell, registry }: { readonly cell: CellInForce; readonly registry: Registry },
    certificate: string,
  ): Promise<Outcome> {
    const { name, claim } = this.#building;
    const published = await registry.publish({ building: name, claim, record: null });
    if (published.kind !== 'written' && published.kind !== 'same')
      return { kind: 'again', afterMs: overtakenMs };
    await this.#parts.enrolments(cell).put({ building: name, claim, entry: null });
    await unlessForbidden(this.#parts.secrets.remove(name, claim.namespace));
    this.#parts.ports.events.record(this.#seen, {
      type: 'Normal',
      reason: 'Erased',
      action: 'Erase',
      note: `Nothing of it is left; the ConfigMap ${certificate} in ${this.#parts.ports.namespace} certifies it`,
    });
    return this.#letGo();
  }

  async #letGo(): Promise<Outcome> {
    const { name, namespace, resourceVersion, finalizers } = this.#building;
    await this.#parts.ports.kube.patch(
      buildingKind,
      { name, namespace },
      {
        metadata: {
          resourceVersion,
          finalizers: finalizers.filter((one) => one !== buildingFinalizer),
        },
      },
    );
    return { kind: 'done' };
  }

  /** How far it had come stays told. */
  async #tellFailure(error: unknown, cell: CellInForce): Promise<void> {
    const why =
      error instanceof PlatformError ? error.message : 'Something unexpected failed; see the log';
    const where = this.#isOut
      ? 'Its gateway is refused, and nothing more is done until this is mended, which is looked at again by itself'
      : 'Its gateway may come in until this is mended, which is looked at again by itself';
    const erased = {
      status: 'Unknown',
      reason: 'CannotTakeOut',
      message: `${why}. ${where}`,
    } as const;
    const erasure = erasureIn(this.#seen);
    await this.#parts.writeStatus(
      this.#seen,
      this.#isOut ? { ...outOf(cell), erased } : { erased },
      { cell: cell.spec.country, ...(erasure !== undefined && { erasure }) },
    );
  }
}

const overtakenMs = 500;

function erasureIn({ status }: KubeObject): unknown {
  return status !== null && typeof status === 'object' && 'erasure' in status
    ? status.erasure
    : undefined;
}

/** A namespace that is deleted loses our Role first, and its Secrets by itself. */
async function unlessForbidden<Result>(work: Promise<Result>): Promise<Result | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof PlatformError && error.code === 'FORBIDDEN') return undefined;
    throw error;
  }
}

/** What holds of a building whose gateway is refused. */
function outOf({ spec }: CellInForce): Omit<BuildingFindings, 'erased'> {
  const refused = { status: 'False', reason: 'Offboarded' } as const;
  return {
    residency: {
      status: 'True',
      reason: 'InCountry',
      message: `It is in ${spec.country}, and so is all of its cell`,
    },
    registered: { ...refused, message: 'The registry refuses it to gateways' },
    enrolled: { ...refused, message: 'Its gateway gets no certificate any more' },
  };
}

/** Refuses its gateways from now on, at the broker and at the issuer. False if the registry knows a newer state of it. */
export async function revoke(
  parts: BuildingParts,
  of: {
    readonly cell: CellInForce;
    readonly registry: Registry;
    readonly building: string;
    readonly claim: Claim;
  },
): Promise<boolean> {
  const { cell, registry, building, claim } = of;
  const present = registry.entry(building);
  const record = present && recordIn(present.value);
  if (record) {
    const published = await registry.publish({
      building,
      claim,
      record: offboardedRecord(record),
    });
    if (published.kind !== 'written' && published.kind !== 'same') return false;
  }
  const token = await unlessForbidden(parts.secrets.tokenSha256(building, claim.namespace));
  const tokenSha256 = token ?? noTokenSha256;
  // Somebody else declares it since: who enrols there is not ours to say any more.
  const holder = registry.entry(building)?.claim;
  if (holder && holder.uid !== claim.uid) return false;
  await parts
    .enrolments(cell)
    .put({ building, claim, entry: { state: 'offboarded', tokenSha256 } });
  return true;
}

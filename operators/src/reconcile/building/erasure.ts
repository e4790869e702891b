import { PlatformError } from '@domicile/core/errors.ts';
import { type Stream, streams } from '@domicile/core/streams.ts';
import { erasurePasses, type ErasureReport, sumOf } from '@domicile/lake/erasure/erasure.ts';
import type { Finding } from '../../model/building/building-conditions.ts';
import { type BuildingResource, farewellOf } from '../../model/building/building-resource.ts';
import { eraserJob, eraserJobName } from '../../model/building/eraser-job.ts';
import {
  type ErasureCertificate,
  erasureCertificate,
  erasureCertificateSchema,
} from '../../model/building/erasure-certificate.ts';
import {
  type ErasureEnds,
  type ErasureFacts,
  type ErasurePassName,
  type ErasureStep,
  erasureStep,
  expectedEndMs,
} from '../../model/building/erasure-step.ts';
import { kafkaSecret } from '../../model/cell/access.ts';
import type { CellPlan } from '../../model/cell/plan.ts';
import { buildingKind, configMapKind, jobKind } from '../../model/kinds.ts';
import type { KubeObject } from '../../runtime/kube.ts';
import { readPack } from '../cell/country-packs.ts';
import { authorityName, type CellInForce, secretData } from './cell-of.ts';
import {
  archiveOpener,
  certificateKey,
  ErasureArchive,
  type OpenArchive,
} from './erasure-archive.ts';
import { labelsOf } from './labels.ts';
import type { BuildingParts } from './parts.ts';
import { payloadOf, signedJson } from './signed.ts';

export interface ErasureSettings {
  readonly settleMs: number;
  readonly kafkaRetentionMs: number;
  /** How long readers may hold a snapshot that is not the newest. */
  readonly graceMs: number;
  readonly imageTag: string;
  readonly regionsDir: string;
  readonly openArchive?: OpenArchive;
}

const dayMs = 86_400_000;
const minuteMs = 60_000;
/** How often a pass that runs is looked at. */
const pollMs = 5000;
/** At least as often a wait of weeks is looked at. */
const waitMsMax = 3_600_000;

const retentions: readonly Stream[] = Object.values(streams);

/** Kafka's `segment.ms`, unless a broker says otherwise: a record stays as long as the youngest one of its segment. */
const segmentMs = 7 * dayMs;

export const erasureDefaults: ErasureSettings = {
  settleMs: 10 * minuteMs,
  kafkaRetentionMs: Math.max(...retentions.map(({ retentionMs = 0 }) => retentionMs)) + segmentMs,
  graceMs: minuteMs,
  imageTag: 'latest',
  regionsDir: 'regions',
};

export interface ErasureGoesOn {
  readonly kind: 'goes-on';
  readonly finding: Finding;
  readonly fields: Readonly<Record<string, unknown>>;
  /** Undefined: until somebody changes the resource. */
  readonly afterMs: number | undefined;
}

/** What one look at an erasure came to. */
export type ErasureLook =
  | { readonly kind: 'retain' }
  | ErasureGoesOn
  | { readonly kind: 'erased'; readonly certificate: string };

export interface ErasureCase {
  readonly cell: CellInForce;
  readonly building: BuildingResource;
  readonly revokedAtMs: number;
  /** Asks all who keep something of it by themselves to drop it. */
  readonly markErased: () => Promise<void>;
}

/** Takes the data of a building out, a step a look. Where it stands is read from the landing bucket each time. */
export class Erasures {
  readonly #parts: BuildingParts;
  readonly #settings: ErasureSettings;
  readonly #openArchive: OpenArchive;

  constructor(parts: BuildingParts, settings: ErasureSettings) {
    this.#parts = parts;
    this.#settings = settings;
    const { kube, namespace } = parts.ports;
    this.#openArchive = settings.openArchive ?? archiveOpener(kube, namespace);
  }

  async look(of: ErasureCase): Promise<ErasureLook> {
    const { cell, building, revokedAtMs } = of;
    const farewell = farewellOf(building.spec);
    if (farewell.deletionPolicy === 'Retain') {
      await this.#stop(of);
      return { kind: 'retain' };
    }
    const archive = new ErasureArchive(await this.#openArchive(cell));
    const erasure = { building: building.name, id: building.claim.uid };
    const reports = await archive.reports(erasure);
    const { settleMs, kafkaRetentionMs } = this.#settings;
    const softDeleteMs = cell.spec.lake.softDeleteDays * dayMs;
    const facts: ErasureFacts = {
      farewell,
      nowMs: this.#parts.ports.now(),
      revokedAtMs,
      done: Object.fromEntries([...reports].map(([pass, report]) => [pass, doneOf(report)])),
      times: { settleMs, kafkaRetentionMs, softDeleteMs },
    };
    const step = erasureStep(facts);
    if (step.kind === 'retain') return { kind: 'retain' };
    if (step.kind === 'certify') {
      const certificate = await this.#certify(of, { archive, reports, ends: step.ends });
      return { kind: 'erased', certificate };
    }
    const { objects, rows } = sumOf([...reports.values()]);
    const { finding, phase, afterMs } = await this.#goOn(of, step, facts);
    const erasureTold = { phase, ...timesOf(facts), objects, rows };
    return { kind: 'goes-on', finding, fields: { erasure: erasureTold }, afterMs };
  }

  async #goOn(
    of: ErasureCase,
    step: Exclude<ErasureStep, { kind: 'retain' | 'certify' }>,
    facts: ErasureFacts,
  ): Promise<{ finding: Finding; phase: string; afterMs: number | undefined }> {
    if (step.kind === 'held') {
      await this.#stop(of);
      return { finding: heldBack(facts), phase: 'Refused', afterMs: undefined };
    }
    if (step.kind === 'run') {
      this.#requireAsSeen(of);
      if (step.pass !== 'export') await of.markErased();
      const phase = step.pass === 'export' ? 'Exporting' : 'Erasing';
      return { finding: await this.#run(of, step.pass), phase, afterMs: pollMs };
    }
    const afterMs = Math.min(step.untilMs - facts.nowMs, waitMsMax);
    return step.kind === 'settle'
      ? { finding: settling(step.untilMs), phase: 'Refused', afterMs }
      : { finding: waiting(step.untilMs), phase: 'Waiting', afterMs };
  }

  /** The store was asked since it was seen, and what is erased is not brought back: a hold of that time holds. */
  #requireAsSeen({ building }: ErasureCase): void {
    const { name, namespace, claim } = building;
    const now = this.#parts.ports.cache.get(buildingKind, { name, namespace });
    const { uid, generation } = now?.metadata ?? {};
    if (uid === claim.uid && generation === claim.generation) return;
    throw new PlatformError('CONFLICT', 'Cannot erase: the Building was changed meanwhile');
  }

  /** Whatever runs of it: a hold, or a change of mind, holds from now on. */
  async #stop({ cell, building }: ErasureCase): Promise<void> {
    const { kube } = this.#parts.ports;
    for (const pass of erasurePasses) {
      const name = eraserJobName({ id: building.claim.uid, pass });
      const ref = { name, namespace: cell.spec.namespace };
      const uid = (await kube.get(jobKind, ref))?.metadata.uid;
      if (uid !== undefined) await kube.delete(jobKind, ref, { uid });
    }
  }

  /** The Job of a pass, made if it is not there. */
  async #run({ cell, building }: ErasureCase, pass: ErasurePassName): Promise<Finding> {
    const { kube } = this.#parts.ports;
    const id = building.claim.uid;
    const ref = { name: eraserJobName({ id, pass }), namespace: cell.spec.namespace };
    const present = await kube.get(jobKind, ref);
    const isFailed = present !== undefined && hasCondition(present, 'Failed');
    if (isFailed && present.metadata.uid !== undefined)
      await kube.delete(jobKind, ref, { uid: present.metadata.uid });
    if (!present)
      await kube.create(
        jobKind,
        eraserJob({
          plan: await this.#plan(cell),
          building: building.name,
          id,
          pass,
          graceMs: this.#settings.graceMs,
          isExported: farewellOf(building.spec).exportBeforeDelete,
          labels: labelsOf(building.name),
        }),
      );
    return isFailed ? passFailed(pass, ref.name) : passRuns(pass, ref.name);
  }

  async #plan(cell: CellInForce): Promise<CellPlan> {
    const { kube, country, user } = this.#parts.ports;
    const pack = await readPack(this.#settings.regionsDir, country);
    if (!pack)
      throw new PlatformError('CONFIG_INVALID', `Cannot erase: there is no pack of ${country}`);
    const { namespace } = cell.spec;
    const kafka = await secretData(kube, { name: kafkaSecret('eraser'), namespace });
    return {
      name: cell.name,
      uid: cell.object.metadata.uid ?? '',
      spec: cell.spec,
      pack,
      imageTag: this.#settings.imageTag,
      operatorUser: user,
      digests: new Map(),
      hasStorage: false,
      hasKafkaCa: kafka?.has('ca.crt') ?? false,
      replicasNow: new Map(),
    };
  }

  /** Signed, kept in the bucket and beside the operator; the same one if it was interrupted. Gives the ConfigMap's name. */
  async #certify(
    { cell, building, revokedAtMs }: ErasureCase,
    of: {
      readonly archive: ErasureArchive;
      readonly reports: ReadonlyMap<ErasurePassName, ErasureReport>;
      readonly ends: ErasureEnds;
    },
  ): Promise<string> {
    const { now, leadership } = this.#parts.ports;
    const { archive, reports, ends } = of;
    const erasure = { building: building.name, id: building.claim.uid };
    const [erase, verify] = [reports.get('erase'), reports.get('verify')];
    if (!erase || !verify)
      throw new PlatformError('OBJECT_MISMATCH', 'A report of erasure is gone');
    const first = reports.get('export')?.export;
    const last = verify.export ?? erase.export ?? first;
    const exported = last && { ...last, missing: first?.missing ?? last.missing };
    const certificate = erasureCertificate({
      ...erasure,
      country: cell.spec.country,
      deletedAtMs: building.deletedAtMs ?? revokedAtMs,
      revokedAtMs,
      nowMs: now(),
      ends,
      erase,
      verify,
      ...(exported && { exported }),
    });
    leadership.assert('keep a certificate of erasure');
    const jws = await archive.keepCertificate(
      erasure,
      (await archive.certificate(erasure)) ?? signedJson(certificate, await this.#authority(cell)),
    );
    return this.#keep(jws, certificateKey(erasure));
  }

  async #authority({ spec }: CellInForce) {
    const ref = { name: authorityName, namespace: spec.namespace };
    const data = await secretData(this.#parts.ports.kube, ref);
    const [certificate, key] = [data?.get('tls.crt'), data?.get('tls.key')];
    if (certificate === undefined || key === undefined)
      throw new PlatformError(
        'CONFIG_INVALID',
        `Cannot sign the certificate of erasure: there is no Secret ${ref.name} in ${ref.namespace}`,
      );
    return { certificate, key };
  }

  async #keep(jws: string, objectKey: string): Promise<string> {
    const certificate: ErasureCertificate = erasureCertificateSchema.parse(payloadOf(jws));
    const { kube, namespace } = this.#parts.ports;
    const name = `erasure-${certificate.building}-${certificate.id.slice(0, 8)}`;
    const ref = { name, namespace };
    if (await kube.get(configMapKind, ref)) return name;
    await kube.create(configMapKind, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {
        ...ref,
        labels: { ...labelsOf(certificate.building), 'domicile.dev/certificate': 'erasure' },
        annotations: { 'domicile.dev/object': objectKey },
      },
      immutable: true,
      data: {
        'certificate.jws': jws,
        'certificate.json': `${JSON.stringify(certificate, undefined, 2)}\n`,
      },
    });
    return name;
  }
}

const reasons: Readonly<Record<ErasurePassName, string>> = {
  export: 'Exporting',
  erase: 'Erasing',
  verify: 'Verifying',
};

function doneOf({ finishedAt, counts, softDeleteDays = 0 }: ErasureReport) {
  const objects = Object.values(counts).reduce((sum, one) => sum + one.objects, 0);
  return { finishedAtMs: Date.parse(finishedAt), objects, softDeleteMs: softDeleteDays * dayMs };
}

function timesOf(facts: ErasureFacts) {
  return {
    startedAt: timeOf(facts.revokedAtMs),
    until: timeOf(expectedEndMs(facts)),
  };
}

function hasCondition({ status }: KubeObject, type: string): boolean {
  const all =
    status !== null && typeof status === 'object' && 'conditions' in status && status.conditions;
  if (!Array.isArray(all)) return false;
  return all.some(
    (one: unknown) =>
      one !== null &&
      typeof one === 'object' &&
      'type' in one &&
      one.type === type &&
      'status' in one &&
      one.status === 'True',
  );
}

function heldBack({ done }: ErasureFacts): Finding {
  const kept = done.erase ? 'what was erased before is gone' : 'its data is kept';
  return {
    status: 'False',
    reason: 'LegalHold',
    message: `Nothing is erased while spec.legalHold is set: its gateway is refused, ${kept}. Set it to false to go on`,
  };
}

function settling(untilMs: number): Finding {
  return {
    status: 'False',
    reason: 'Settling',
    message: `Its gateway is refused; what was on its way has until ${timeOf(untilMs)} to land`,
  };
}

function waiting(untilMs: number): Finding {
  return {
    status: 'False',
    reason: 'Erasing',
    message: `Erased from landing zone and serving layer. Kafka's log, or what the store can bring back, may hold it until ${timeOf(untilMs)}`,
  };
}

function passRuns(pass: ErasurePassName, job: string): Finding {
  return {
    status: 'False',
    reason: reasons[pass],
    message: `The pass ${pass} runs as the Job ${job}`,
  };
}

function passFailed(pass: ErasurePassName, job: string): Finding {
  return {
    status: 'False',
    reason: 'EraserFailed',
    message: `The pass ${pass} failed and is tried again: look at the log of the Job ${job}`,
  };
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

import { setTimeout as wait } from 'node:timers/promises';
import { startLoop } from '@domicile/runtime/service.ts';
import type { UplinkConfig } from '../config.ts';
import type { AgentEvents } from '../events.ts';
import { backOffMs, renewalAtMs } from '../model/renewal.ts';
import { readCertificate } from './certificate-files.ts';
import { type EnrolmentPlan, enrol, enrolmentPlan } from './enrol.ts';

export interface EnrolmentOptions {
  readonly uplink: UplinkConfig;
  readonly events: AgentEvents;
  readonly now: () => number;
  /** There is another certificate: the uplink takes it up. */
  readonly renewed: () => void;
  readonly fail: (error: unknown) => void;
}

/** A clock may jump and a timer may not be set for months, so it is looked at again. */
const lookEveryMs = 3_600_000;
/** How long a start waits for a first certificate; the devices are not kept waiting longer. */
const firstWaitMs = 5000;

/**
 * Keeps the certificate of this gateway: gets it if there is none, renews it in time, tells when it ends. Without `enrolment` in
 * the settings it looks and tells alone. Resolves when there is a certificate, or soon without.
 */
export async function startEnrolment(options: EnrolmentOptions): Promise<AsyncDisposable> {
  const { uplink, fail } = options;
  const { certFile } = uplink;
  if (certFile === undefined) return { [Symbol.asyncDispose]: async () => undefined };
  const plan = enrolmentPlan(uplink);
  const first = Promise.withResolvers<void>();
  const loop = startLoop(async (signal) => {
    if (plan) await keep({ plan, options, looked: first.resolve }, signal);
    else await watch(certFile, options, { looked: first.resolve, signal });
  }, fail);
  await Promise.race([first.promise, wait(firstWaitMs, undefined, { ref: false })]);
  return loop;
}

async function watch(
  certFile: string,
  { events }: EnrolmentOptions,
  { looked, signal }: { readonly looked: () => void; readonly signal: AbortSignal },
): Promise<void> {
  for (;;) {
    const certificate = await readCertificate(certFile).catch(() => undefined);
    if (certificate) events.certificateSeen(certificate);
    looked();
    await wait(lookEveryMs, undefined, { signal });
  }
}

interface Keeping {
  readonly plan: EnrolmentPlan;
  readonly options: EnrolmentOptions;
  readonly looked: () => void;
}

async function keep({ plan, options, looked }: Keeping, signal: AbortSignal): Promise<void> {
  const { events, now, renewed } = options;
  let failures = 0;
  let chance = Math.random();
  for (;;) {
    const certificate = await readCertificate(plan.certFile).catch(() => undefined);
    if (certificate) {
      events.certificateSeen(certificate);
      if (certificate.untilMs > now()) looked();
    }
    const leftMs = certificate ? renewalAtMs(certificate, chance) - now() : 0;
    if (leftMs > 0) {
      await wait(Math.min(leftMs, lookEveryMs), undefined, { signal });
      continue;
    }
    try {
      const enrolled = await enrol(plan, now(), signal);
      events.certificateIssued(enrolled);
      renewed();
      chance = Math.random();
      // A clock that is months ahead must not ask again at once, and again.
      if (renewalAtMs(enrolled.certificate, chance) <= now())
        throw new Error('The certificate that came is to be renewed already: set the clock');
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      looked();
      const retryInMs = backOffMs(failures, Math.random());
      events.enrolmentFailed({ reason: reasonOf(error), retryInMs: Math.round(retryInMs) });
      await wait(retryInMs, undefined, { signal });
    }
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  const { cause } = error;
  return error.message === '' && cause instanceof Error ? cause.message : error.message;
}

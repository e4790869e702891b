import { readFile } from 'node:fs/promises';
import { countryOf, lowerCountry } from '@domicile/core/identities.ts';
import type { UplinkConfig } from '../config.ts';
import {
  belongTogether,
  type CertificateInfo,
  certificateInfo,
  finishSwap,
  pendingKey,
  readCertificate,
  swapCertificate,
} from './certificate-files.ts';
import { type Proof, postRequest } from './est-client.ts';
import { startRequestWorker } from './in-worker.ts';

/** What enrolment needs of the settings; all there, or there is no enrolment. */
export interface EnrolmentPlan {
  readonly uplink: UplinkConfig;
  readonly enrolment: NonNullable<UplinkConfig['enrolment']>;
  readonly certFile: string;
  readonly keyFile: string;
}

export function enrolmentPlan(uplink: UplinkConfig): EnrolmentPlan | undefined {
  const { enrolment, certFile, keyFile } = uplink;
  if (!enrolment || certFile === undefined || keyFile === undefined) return undefined;
  return { uplink, enrolment, certFile, keyFile };
}

/** The name that this gateway's certificate has. */
export function gatewayUrn({
  building,
  gateway,
}: Pick<UplinkConfig, 'building' | 'gateway'>): string {
  return `urn:domicile:${lowerCountry(countryOf(building))}:${building}:${gateway}`;
}

export interface Enrolled {
  readonly kind: 'first' | 'renewal';
  readonly certificate: CertificateInfo;
}

/**
 * Gets a certificate once, and puts it and its key in their places: by the certificate that is there while it is valid, else by
 * the token. Throws what stands against it; what was there before is then still there.
 */
export async function enrol(
  plan: EnrolmentPlan,
  nowMs: number,
  signal: AbortSignal,
): Promise<Enrolled> {
  await finishSwap(plan);
  await using worker = startRequestWorker();
  const { uplink, enrolment } = plan;
  const urn = gatewayUrn(uplink);
  const proof = await proofOf(plan, nowMs);
  const key = await pendingKey(plan, async () => first(await worker.ask({ do: 'key' })));
  const request = first(await worker.ask({ do: 'request', key, urn, gateway: uplink.gateway }));
  const caFile = enrolment.caFile ?? uplink.caFile;
  const answer = await postRequest(
    {
      url: enrolment.url,
      ca: caFile === undefined ? undefined : await readFile(caFile),
      proof,
      request: Buffer.from(request, 'base64'),
    },
    signal,
  );
  const certificates = await worker.ask({ do: 'read', answer });
  const own = certificates.find((pem) => belongTogether(pem, key));
  if (own === undefined)
    throw new Error('Cannot enrol: the answer holds no certificate of the key that was sent');
  const certificate = certificateInfo(own);
  if (!certificate.uris.includes(urn))
    throw new Error(`Cannot enrol: the certificate that came is not for ${urn}`);
  // The gateway's own first, then those between it and its authority.
  await swapCertificate(plan, [own, ...certificates.filter((pem) => pem !== own)].join(''));
  return { kind: 'user' in proof ? 'first' : 'renewal', certificate };
}

function first([only = '']: readonly string[]): string {
  return only;
}

async function proofOf(plan: EnrolmentPlan, nowMs: number): Promise<Proof> {
  const { uplink, enrolment, certFile, keyFile } = plan;
  const present = await readCertificate(certFile);
  const isValid = present && present.untilMs > nowMs && present.uris.includes(gatewayUrn(uplink));
  if (isValid) {
    const [cert, key] = await Promise.all(
      [certFile, keyFile].map((file) => readFile(file, 'utf8')),
    );
    return { cert: cert ?? '', key: key ?? '' };
  }
  const token = await readFile(enrolment.tokenFile, 'utf8').catch((cause: unknown) => {
    throw new Error(
      `Cannot enrol: there is no ${present ? 'valid ' : ''}certificate, and no enrolment token in ${enrolment.tokenFile}`,
      { cause },
    );
  });
  return { user: uplink.building, password: token.trim() };
}

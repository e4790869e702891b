/** The cell's authority at work: reads certificate requests and signs certificates. */
import { createHash, createPublicKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { PlatformError } from '@domicile/core/errors.ts';
import type { GatewayIdentity } from '@domicile/core/residency.ts';
import { serialNumber, signingKeyOf } from '@domicile/runtime/certificates.ts';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate as Certificate,
  X509CertificateGenerator,
  X509Certificates,
} from '@peculiar/x509';
import { RequestRefused, type RequestedCertificate } from './model/request-policy.ts';

export interface SignedCertificate {
  readonly certificate: Certificate;
  readonly serial: string;
  readonly until: Date;
}

/** A certificate request whose signature was checked; whether it is granted is another question. */
export interface ReadRequest {
  readonly wanted: RequestedCertificate;
  readonly request: Pkcs10CertificateRequest;
  /** SHA-256 of the public key, hex. */
  readonly keySha256: string;
}

/** Clocks of gateways may be behind by as much. */
const backdatedMsMax = 3_600_000;
const weakHashes: ReadonlySet<string> = new Set(['SHA-1', 'MD5', 'MD2']);

export class Authority {
  readonly #certificate: Certificate;
  readonly #key: webcrypto.CryptoKey;
  readonly #algorithm: webcrypto.EcKeyImportParams & { hash: string };

  private constructor(
    certificate: Certificate,
    key: webcrypto.CryptoKey,
    algorithm: webcrypto.EcKeyImportParams & { hash: string },
  ) {
    this.#certificate = certificate;
    this.#key = key;
    this.#algorithm = algorithm;
  }

  /** Throws `CONFIG_INVALID` for files that are no authority on an elliptic curve, or do not belong together. */
  static async open(certificateFile: string, keyFile: string): Promise<Authority> {
    const [certificatePem, keyPem] = await Promise.all(
      [certificateFile, keyFile].map((file) => readFile(file, 'utf8')),
    );
    const certificate = new Certificate(certificatePem ?? '');
    const { asymmetricKeyDetails } = new X509Certificate(certificatePem ?? '').publicKey;
    const curve = { prime256v1: 'P-256', secp384r1: 'P-384' }[
      asymmetricKeyDetails?.namedCurve ?? ''
    ];
    if (curve === undefined)
      throw new PlatformError(
        'CONFIG_INVALID',
        'Cannot issue: the authority is not on P-256 or P-384',
      );
    const algorithm = { name: 'ECDSA', namedCurve: curve, hash: `SHA-${curve.slice(2)}` };
    const key = await signingKeyOf(keyPem ?? '', algorithm);
    const authority = new Authority(certificate, key, algorithm);
    await authority.#prove();
    return authority;
  }

  /** The key must be of the certificate: what is signed with another is believed by nobody. */
  async #prove(): Promise<void> {
    const probe = randomBytes(16);
    const signature = await webcrypto.subtle.sign(this.#algorithm, this.#key, probe);
    const publicKey = await this.#certificate.publicKey.export(this.#algorithm, ['verify']);
    if (!(await webcrypto.subtle.verify(this.#algorithm, publicKey, signature, probe)))
      throw new PlatformError(
        'CONFIG_INVALID',
        "Cannot issue: key and certificate of the authority don't belong together",
      );
  }

  get until(): Date {
    return this.#certificate.notAfter;
  }

  /** PKCS#7 certs-only, DER: what `/cacerts` answers. */
  get bundle(): Buffer {
    return certsOnly([this.#certificate]);
  }

  /** With the names it was granted, and nothing else of the request but its key. */
  async sign(
    request: Pkcs10CertificateRequest,
    { country, building, gateway }: GatewayIdentity,
    validity: { readonly nowMs: number; readonly lifetimeMs: number },
  ): Promise<SignedCertificate> {
    const { nowMs, lifetimeMs } = validity;
    const serial = serialNumber();
    const until = new Date(Math.min(nowMs + lifetimeMs, this.until.getTime()));
    const certificate = await X509CertificateGenerator.create({
      subject: [{ O: [building] }, { CN: [gateway] }],
      issuer: this.#certificate.subjectName.toJSON(),
      publicKey: request.publicKey,
      signingKey: this.#key,
      signingAlgorithm: this.#algorithm,
      serialNumber: serial,
      notBefore: new Date(nowMs - Math.min(backdatedMsMax, lifetimeMs / 10)),
      notAfter: until,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth]),
        new SubjectAlternativeNameExtension([
          { type: 'url', value: `urn:domicile:${country}:${building}:${gateway}` },
        ]),
        await SubjectKeyIdentifierExtension.create(request.publicKey),
        await AuthorityKeyIdentifierExtension.create(this.#certificate.publicKey),
      ],
    });
    return { certificate, serial, until };
  }
}

export function certsOnly(certificates: Certificate[]): Buffer {
  return Buffer.from(new X509Certificates(certificates).export('raw'));
}

/** Reads PKCS#10 in DER, base64 or PEM. Throws `RequestRefused` for what is none. */
export async function readRequest(body: Buffer): Promise<ReadRequest> {
  let request: Pkcs10CertificateRequest;
  try {
    request = new Pkcs10CertificateRequest(derOf(body));
    const wanted = await wantedOf(request);
    const keySha256 = createHash('sha256')
      .update(Buffer.from(request.publicKey.rawData))
      .digest('hex');
    return { wanted, request, keySha256 };
  } catch (cause) {
    throw new RequestRefused(
      'malformed',
      'VALUE_INVALID',
      'Cannot issue: the body is no PKCS#10 certificate request in base64',
      { cause },
    );
  }
}

const derSequence = 0x30;

function derOf(body: Buffer): Buffer {
  if (body[0] === derSequence) return body;
  const text = body.toString('latin1').replaceAll(/-----[^-]*-----|\s/g, '');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw new Error('no base64');
  return Buffer.from(text, 'base64');
}

async function wantedOf(request: Pkcs10CertificateRequest): Promise<RequestedCertificate> {
  const names = request.extensions
    .filter((extension) => extension instanceof SubjectAlternativeNameExtension)
    .flatMap((extension) => extension.names.items);
  const key = createPublicKey({
    key: Buffer.from(request.publicKey.rawData),
    format: 'der',
    type: 'spki',
  });
  const details = key.asymmetricKeyDetails;
  const hash = 'hash' in request.signatureAlgorithm ? request.signatureAlgorithm.hash : undefined;
  const isWeak = weakHashes.has(hash?.name ?? '');
  return {
    uris: names.filter(({ type }) => type === 'url').map(({ value }) => value),
    otherNames: names.filter(({ type }) => type !== 'url').length,
    commonName: request.subjectName.getField('CN').at(-1),
    key: {
      type: key.asymmetricKeyType ?? '',
      curve: details?.namedCurve,
      bits: details?.modulusLength,
    },
    isSigned: !isWeak && (await request.verify().catch(() => false)),
  };
}

import type { BuildingId } from '@domicile/core/identities.ts';
import type { Session } from '@domicile/mqtt/owner.ts';

/** By what a client was let in. If it no longer holds, the client's connection ends. */
export type Credential =
  | ({ readonly kind: 'certificate' } & CertificateName)
  | { readonly kind: 'password'; readonly passwordHash: string };

/** What tells one certificate from another, and how long it is good for. */
export interface CertificateName {
  /** Hexadecimal, upper case, as in `node:crypto`. */
  readonly serial: string;
  /** The issuer's distinguished name, as in `node:crypto`. */
  readonly issuer: string;
  /** Milliseconds since 1970. */
  readonly expiresAtMs: number;
}

/** Who is connected: the building, and the gateway of its certificate if it has one. */
export interface ClientIdentity {
  readonly building: BuildingId;
  readonly gateway: string | undefined;
  /** The building's id as bytes, which is the key of what it sends. */
  readonly key: Buffer;
  /** Absent where nobody has to show one. */
  readonly credential?: Credential;
}

export type BrokerSession = Session<ClientIdentity>;

export type Transport = 'tcp' | 'tls' | 'ws' | 'wss';

/** What a listener knows of who connects. */
export interface Peer {
  readonly transport: Transport;
  /** The IP address that the socket comes from. */
  readonly address: string;
  /** Absent: none was shown. */
  readonly certificate?: PeerCertificate;
}

export interface PeerCertificate extends CertificateName {
  /** URIs among its subject alternative names. */
  readonly uris: readonly string[];
  /** Why it is not believed: OpenSSL's word, or "CERT_REVOKED". Absent: the cell's authority stands for it. */
  readonly fault?: string;
}

import { randomBytes, scryptSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CountryCode } from '@domicile/core/countries.ts';
import type { BuildingId } from '@domicile/core/identities.ts';
import { gatewayName, issueCertificate } from '@domicile/devkit/certificates.ts';
import { writeEnrolment } from '@domicile/issuer/enrolment-files.ts';
import { type KeyPair } from '@domicile/runtime/certificates.ts';
import { writePrivate } from './secrets.ts';

/** RFC 7914: 16 MiB and some tens of milliseconds a check. */
const cost = { N: 16_384, r: 8, p: 1 };

/** The gateway's name in its certificate. */
const gateway = 'gateway';

/** Where one building's credentials lie. */
export interface CredentialFiles {
  readonly passwordFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile: string;
  /** By which a gateway enrols at the issuer, once. */
  readonly tokenFile: string;
}

/** Issues what a building's gateway needs to come in, under the cell's `credentials/`. */
export class Credentials {
  readonly #dir: string;
  readonly #enrolmentsDir: string;
  readonly #country: CountryCode;
  /** Who issues, to rooms that issue for this cell too. */
  readonly authority: KeyPair;

  constructor(of: {
    dir: string;
    enrolmentsDir: string;
    country: CountryCode;
    authority: KeyPair;
  }) {
    this.#dir = of.dir;
    this.#enrolmentsDir = of.enrolmentsDir;
    this.#country = of.country;
    this.authority = of.authority;
  }

  filesOf(building: string): CredentialFiles {
    const at = (name: string) => join(this.#dir, building, name);
    return {
      passwordFile: at('password'),
      certFile: at('gateway.pem'),
      keyFile: at('gateway.key'),
      caFile: at('ca.pem'),
      tokenFile: at('enrolment-token'),
    };
  }

  async password(building: string): Promise<string> {
    return (await readFile(this.filesOf(building).passwordFile, 'utf8')).trim();
  }

  /** A new key and certificate in the place of the old ones, which stay valid until they expire. */
  async renew(building: string): Promise<void> {
    const { certFile, keyFile, caFile } = this.filesOf(building);
    const names = [gatewayName({ country: this.#country, building, gateway })];
    const issued = await issueCertificate(this.authority, { name: building, names });
    await writePrivate(keyFile, issued.key);
    await writePrivate(caFile, this.authority.certificate);
    await writePrivate(certFile, issued.certificate);
  }

  /** Lets a building's gateways enrol at the issuer, and renew, until it is offboarded. */
  async admit(building: BuildingId, state: 'active' | 'offboarded' = 'active'): Promise<void> {
    const { tokenFile } = this.filesOf(building);
    if (!existsSync(tokenFile))
      await writePrivate(tokenFile, `${randomBytes(24).toString('base64url')}\n`);
    const token = (await readFile(tokenFile, 'utf8')).trim();
    await writeEnrolment(this.#enrolmentsDir, building, { state, token });
  }

  /** Makes what is missing; what is there stays, also for a building that is declared again. Returns the hash for the registry. */
  async issue(building: BuildingId, presentHash: string | null): Promise<string> {
    await this.admit(building);
    const { passwordFile, certFile } = this.filesOf(building);
    if (!existsSync(certFile)) await this.renew(building);
    if (!existsSync(passwordFile))
      await writePrivate(passwordFile, `${randomBytes(18).toString('base64url')}\n`);
    else if (presentHash !== null) return presentHash;
    return hashOf(await this.password(building));
  }
}

/** `scrypt$N$r$p$salt$hash`, base64. */
function hashOf(password: string): string {
  const salt = randomBytes(16);
  const hash = scryptSync(password, salt, 32, cost);
  const { N, r, p } = cost;
  return ['scrypt', N, r, p, salt.toString('base64'), hash.toString('base64')].join('$');
}

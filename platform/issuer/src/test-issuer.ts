import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseBuildingId } from '@domicile/core/identities.ts';
import { issueCertificate, loopbackNames } from '@domicile/devkit/certificates.ts';
import { createAuthority } from '@domicile/runtime/certificates.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { readConfig } from './config.ts';
import { writeEnrolment } from './enrolment-files.ts';
import { type IssuerService, startIssuer } from './start.ts';

const run = promisify(execFile);
const silent = createLog('issuer', { write: () => undefined });

export const testBuilding = 'de-7f3k';
export const testToken = 'a-token-of-the-building';

/** An issuer on a free port with an authority of its own, and openssl and curl as an independent client. */
export class TestIssuer implements AsyncDisposable {
  readonly directory: string;
  #service: IssuerService | undefined;

  static async start(environment: Readonly<Record<string, string>> = {}): Promise<TestIssuer> {
    const issuer = new TestIssuer(await mkdtemp(join(tmpdir(), 'issuer-')));
    const authority = await createAuthority('test-authority');
    const server = await issueCertificate(authority, { name: 'issuer', names: loopbackNames });
    await issuer.write('ca.pem', authority.certificate);
    await issuer.write('ca.key', authority.key);
    await issuer.write('server.pem', server.certificate);
    await issuer.write('server.key', server.key);
    await issuer.declare('active', testToken);
    await issuer.restart(environment);
    return issuer;
  }

  private constructor(directory: string) {
    this.directory = directory;
  }

  get url(): string {
    return `${this.#service?.url ?? ''}/.well-known/est`;
  }

  at(name: string): string {
    return join(this.directory, name);
  }

  write(name: string, content: string): Promise<void> {
    return writeFile(this.at(name), content);
  }

  declare(state: 'active' | 'offboarded', token: string): Promise<void> {
    return writeEnrolment(this.at('enrolments'), parseBuildingId(testBuilding), { state, token });
  }

  async restart(
    environment: Readonly<Record<string, string>> = {},
    now?: () => number,
  ): Promise<void> {
    await this.#service?.[Symbol.asyncDispose]();
    const config = readConfig({
      CELL_COUNTRY: 'DE',
      ISSUER_PORT: '0',
      ISSUER_CA_CERT_FILE: this.at('ca.pem'),
      ISSUER_CA_KEY_FILE: this.at('ca.key'),
      ISSUER_TLS_CERT_FILE: this.at('server.pem'),
      ISSUER_TLS_KEY_FILE: this.at('server.key'),
      ISSUER_ENROLMENTS_DIR: this.at('enrolments'),
      ISSUER_STATE_DIR: this.at('state'),
      ...environment,
    });
    this.#service = await startIssuer(config, { log: silent, ...(now && { now }) });
  }

  async metrics(): Promise<string> {
    const response = await fetch(`${this.#service?.adminUrl ?? ''}/metrics`);
    return response.text();
  }

  /** Words of the command are parted by single spaces. */
  async openssl(command: string): Promise<string> {
    const { stdout } = await run('openssl', command.split(' '), { cwd: this.directory });
    return stdout;
  }

  /** `name.key` and `name.p10`, the latter in base64 as RFC 7030 has it. */
  async request(name: string, { san = '', key = 'ec -pkeyopt ec_paramgen_curve:prime256v1' } = {}) {
    const names = san === '' ? '' : ` -addext subjectAltName=${san}`;
    await this.openssl(
      `req -new -newkey ${key} -nodes -keyout ${name}.key -subj /CN=gw-1${names} -outform DER -out ${name}.der`,
    );
    await this.openssl(`base64 -in ${name}.der -out ${name}.p10`);
  }

  /** Posts `name.p10` by curl; what comes goes to `name.answer`. Returns the status and the content type. */
  async post(path: string, name: string, options = '--silent'): Promise<string> {
    const { stdout } = await run(
      'curl',
      [
        ...`--silent --max-time 20 --cacert ca.pem --output ${name}.answer`.split(' '),
        ...options.split(' '),
        '--header',
        'Content-Type: application/pkcs10',
        '--data-binary',
        `@${name}.p10`,
        '--write-out',
        '%{http_code} %{content_type}',
        `${this.url}/${path}`,
      ],
      { cwd: this.directory },
    );
    return stdout;
  }

  /** The certificates in `name.answer`, to `name.pem`. */
  async certificate(name: string): Promise<string> {
    await this.openssl(`base64 -d -in ${name}.answer -out ${name}.p7`);
    await this.openssl(`pkcs7 -inform DER -in ${name}.p7 -print_certs -out ${name}.pem`);
    return this.openssl(`x509 -in ${name}.pem -noout -text`);
  }

  /** The problem in `name.answer`. */
  async problem(name: string): Promise<unknown> {
    return JSON.parse(await readFile(this.at(`${name}.answer`), 'utf8'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#service?.[Symbol.asyncDispose]();
    await rm(this.directory, { recursive: true, force: true });
  }
}

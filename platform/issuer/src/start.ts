import { readFile } from 'node:fs/promises';
import { startAdmin } from '@domicile/runtime/admin.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';
import type { Logger } from 'pino';
import { Authority } from './authority.ts';
import type { IssuerConfig } from './config.ts';
import { startEst } from './est-server.ts';
import { issuerEvents } from './events.ts';
import { IssuedBook } from './issued.ts';

export interface IssuerService extends AsyncDisposable {
  /** EST, by https. */
  readonly url: string;
  readonly adminUrl: string;
}

export interface IssuerPorts {
  readonly now?: () => number;
  readonly log?: Logger;
}

/** Starts the issuer of one cell: the process that alone reads the key of its authority. */
export async function startIssuer(
  config: IssuerConfig,
  { now = Date.now, log = createLog('issuer') }: IssuerPorts = {},
): Promise<IssuerService> {
  const country = config.CELL_COUNTRY;
  const registry = createRegistry({ service: 'issuer', country });
  const events = issuerEvents(log, registry);
  const authority = await Authority.open(config.ISSUER_CA_CERT_FILE, config.ISSUER_CA_KEY_FILE);
  events.opened(authority.until);
  const book = await IssuedBook.open(config.ISSUER_STATE_DIR);
  const [cert, key, ca] = await Promise.all([
    readFile(config.ISSUER_TLS_CERT_FILE),
    readFile(config.ISSUER_TLS_KEY_FILE),
    readFile(config.ISSUER_CA_CERT_FILE),
  ]);

  await using parts = new AsyncDisposableStack();
  const host = config.ISSUER_HOST;
  const est = parts.use(
    await startEst({
      host,
      port: config.ISSUER_PORT,
      tls: { cert, key, ca },
      requestsPerMinute: config.ISSUER_REQUESTS_PER_MINUTE,
      parts: {
        country,
        authority,
        book,
        enrolmentsDir: config.ISSUER_ENROLMENTS_DIR,
        lifetimeMs: config.ISSUER_CERTIFICATE_MS,
        events,
        now,
      },
    }),
  );
  const admin = parts.use(
    await startAdmin({ host, port: config.ISSUER_ADMIN_PORT, log, registry, ready: () => true }),
  );
  const running = parts.move();
  return {
    url: `https://${host}:${est.port}`,
    adminUrl: admin.url,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

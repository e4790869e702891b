import { readFile } from 'node:fs/promises';
import { PlatformError } from '@domicile/core/errors.ts';
import { startAdmin } from '@domicile/runtime/admin.ts';
import { startHttp } from '@domicile/runtime/http.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';
import { Router } from 'express';
import { apiKeysIn } from './api-keys.ts';
import { authenticator } from './authenticate.ts';
import type { GatewayConfig } from './config.ts';
import { crossOrigin } from './cross-origin.ts';
import { descriptionRoutes } from './description.ts';
import { estRoutes } from './est.ts';
import { gatewayEvents } from './events.ts';
import { forwarder } from './forward.ts';
import { frontDoor } from './front-door.ts';
import { openKeySet } from './key-set.ts';
import type { Upstream } from './model/routes.ts';
import { streamSlots } from './stream-slots.ts';
import { rememberingJudge, tokenJudge } from './tokens.ts';

export interface GatewayService extends AsyncDisposable {
  readonly url: string;
  readonly adminUrl: string;
}

const secretCharsMin = 32;

/** Starts the front door of one cell. */
export async function startGateway(config: GatewayConfig): Promise<GatewayService> {
  const log = createLog('api-gateway');
  const registry = createRegistry({ service: 'api-gateway', country: config.GATEWAY_COUNTRY });
  const events = gatewayEvents(log, registry);
  const keys = openKeySet(config.GATEWAY_JWKS);
  const authenticate = authenticator({
    judge: rememberingJudge(
      tokenJudge({ keys, issuer: config.GATEWAY_ISSUER, country: config.GATEWAY_COUNTRY }),
    ),
    findApiKey: apiKeysIn(config.GATEWAY_API_KEYS_FILE),
    failuresPerWindow: config.GATEWAY_LIMIT_FAILURES,
    windowMs: config.GATEWAY_LIMIT_WINDOW_MS,
    events,
  });
  const secrets = await readSecrets(config);

  await using parts = new AsyncDisposableStack();
  const forward = parts.use(forwarder(config.GATEWAY_STREAMS_MAX));
  const slots = streamSlots(
    { perSubject: config.GATEWAY_STREAMS_PER_SUBJECT, inAll: config.GATEWAY_STREAMS_MAX },
    events,
  );
  const routes = Router();
  routes.use(crossOrigin(config.GATEWAY_WEB_ORIGINS));
  routes.use(descriptionRoutes(config.GATEWAY_COUNTRY));
  const estCa = config.GATEWAY_EST_CA_FILE;
  routes.use(
    '/.well-known/est',
    estRoutes({
      url: config.GATEWAY_EST_URL,
      renewalUrl: config.GATEWAY_EST_RENEWAL_URL,
      ca: estCa ? await readFile(estCa) : undefined,
    }),
  );
  routes.use(frontDoor({ config, secrets, authenticate, forward, slots, events }));
  const host = config.GATEWAY_HOST;
  const http = parts.use(
    await startHttp(routes, { host, port: config.GATEWAY_PORT, log, registry, jsonBodies: false }),
  );
  await keys.keyOf('').catch(() => undefined);
  const ready = () => {
    const fault = keys.fault();
    // Asking for a key makes the set look at its source again, in its own time.
    if (fault !== undefined) void keys.keyOf('').catch(() => undefined);
    return fault === undefined ? [] : [fault];
  };
  const admin = parts.use(
    await startAdmin({ host, port: config.GATEWAY_ADMIN_PORT, log, registry, ready }),
  );
  const running = parts.move();
  return {
    url: http.url,
    adminUrl: admin.url,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

async function readSecrets(config: GatewayConfig): Promise<Record<Upstream, string>> {
  const { GATEWAY_INTERNAL_SECRET_FILE: shared } = config;
  const [serving, raw, commands] = await Promise.all([
    readSecret(shared),
    readSecret(config.GATEWAY_RAW_SECRET_FILE ?? shared),
    readSecret(config.GATEWAY_COMMANDS_SECRET_FILE ?? shared),
  ]);
  return { serving, raw, commands, residency: serving };
}

async function readSecret(file: string): Promise<string> {
  const secret = (await readFile(file, 'utf8')).trim();
  if (secret.length >= secretCharsMin) return secret;
  throw new PlatformError('CONFIG_INVALID', 'Cannot start: the internal secret is too short');
}

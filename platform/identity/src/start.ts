import { mkdir } from 'node:fs/promises';
import { startAdmin } from '@domicile/runtime/admin.ts';
import { startHttp } from '@domicile/runtime/http.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';
import { Router } from 'express';
import type { IdentityConfig } from './config.ts';
import { identityEvents } from './events.ts';
import { keysIn } from './keys.ts';
import { logInRoutes } from './log-in.ts';
import { createProvider } from './provider.ts';
import { openStorage } from './storage.ts';
import { usersIn } from './users.ts';

export interface IdentityService extends AsyncDisposable {
  readonly url: string;
  readonly adminUrl: string;
}

/** Starts the issuer. It holds users, keys and log-ins; nothing of buildings passes through it. */
export async function startIdentity(
  config: IdentityConfig,
  fail: (error: unknown) => void,
): Promise<IdentityService> {
  const log = createLog('identity');
  const registry = createRegistry({ service: 'identity' });
  const events = identityEvents(log, registry);
  const findUser = usersIn(config.IDENTITY_USERS_FILE);
  await findUser('');
  await mkdir(config.IDENTITY_STATE_DIR, { recursive: true, mode: 0o700 });
  const keys = await keysIn(config.IDENTITY_STATE_DIR);

  await using parts = new AsyncDisposableStack();
  const storage = parts.use(await openStorage(config.IDENTITY_STATE_DIR, fail));
  const provider = createProvider({ config, keys, storage, findUser, events });
  const routes = Router();
  routes.use(logInRoutes({ provider, config, findUser, events }));
  routes.use(provider.callback());
  const host = config.IDENTITY_HOST;
  const http = parts.use(
    await startHttp(routes, { host, port: config.IDENTITY_PORT, log, registry, jsonBodies: false }),
  );
  const admin = parts.use(
    await startAdmin({ host, port: config.IDENTITY_ADMIN_PORT, log, registry, ready: () => true }),
  );
  const running = parts.move();
  return {
    url: http.url,
    adminUrl: admin.url,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

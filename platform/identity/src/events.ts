import type { Logger } from 'pino';
import { Counter, type Registry } from 'prom-client';

export type Events = ReturnType<typeof identityEvents>;

/** The business events of the issuer. User names are ids; passwords and tokens never come here. */
export function identityEvents(log: Logger, registry: Registry) {
  const logIns = new Counter({
    name: 'identity_log_ins_total',
    help: 'Log-ins by what became of them',
    labelNames: ['outcome'],
    registers: [registry],
  });
  const tokens = new Counter({
    name: 'identity_access_tokens_total',
    help: 'Access tokens issued, by audience',
    labelNames: ['audience'],
    registers: [registry],
  });
  return {
    loggedIn(user: string) {
      logIns.inc({ outcome: 'accepted' });
      log.info({ user }, 'User logged in');
    },
    /** The name is not logged: it may be a password that was typed into the wrong field. */
    logInRefused() {
      logIns.inc({ outcome: 'refused' });
      log.info('Log-in refused');
    },
    logInLimited() {
      logIns.inc({ outcome: 'limited' });
      log.warn('Log-in refused after too many attempts');
    },
    tokenIssued(audience: string) {
      tokens.inc({ audience });
    },
    failed(error: unknown) {
      log.error({ err: error }, 'Issuer failed');
    },
  };
}

import type { CommandState } from '@domicile/core/command.ts';
import type { Logger } from 'pino';
import { Counter, type Registry } from 'prom-client';

export type CommandEvents = ReturnType<typeof commandEvents>;

interface Named {
  readonly id: string;
  readonly building: string;
  readonly device: string;
}

/** What happens to commands: one function an event. What a command sets is not logged. */
export function commandEvents(log: Logger, registry: Registry) {
  const states = new Counter({
    name: 'commands_states_total',
    help: 'States of commands as they became known',
    labelNames: ['state'],
    registers: [registry],
  });
  const unreadable = new Counter({
    name: 'commands_records_unreadable_total',
    help: 'Records that were not of their stream’s schema',
    labelNames: ['stream'],
    registers: [registry],
  });
  return {
    listening(url: string, adminUrl: string) {
      log.info({ url, adminUrl }, 'Command service listens');
    },
    accepted({ id, building, device }: Named, by: string) {
      log.info({ command: id, building, device, by }, 'Command accepted');
    },
    expired({ id, building, device }: Named) {
      log.warn({ command: id, building, device }, 'Command expired: nobody took it in time');
    },
    stateKnown(state: CommandState) {
      states.inc({ state });
    },
    expiryFailed(error: unknown) {
      log.error({ err: error }, 'Expiry not written; it is tried again');
    },
    recordUnreadable(stream: string) {
      unreadable.inc({ stream });
      log.warn({ stream }, 'Record passed over: it is not of the schema of its stream');
    },
  };
}

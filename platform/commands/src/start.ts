import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildingRecord } from '@domicile/core/building.ts';
import { startAdmin } from '@domicile/runtime/admin.ts';
import { startHttp } from '@domicile/runtime/http.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';
import { startLoop } from '@domicile/runtime/service.ts';
import { CommandDesk } from './command-desk.ts';
import { openCommandWriter } from './command-writer.ts';
import { type CommandsConfig, kafkaOf } from './config.ts';
import { commandEvents } from './events.ts';
import { followStreams } from './follow-streams.ts';
import { CommandBook } from './model/command-book.ts';
import { commandRoutes } from './routes.ts';

export interface CommandService extends AsyncDisposable {
  readonly url: string;
  readonly adminUrl: string;
}

type Fail = (error: unknown) => void;

/** Starts the command service of a cell. It is ready when it has caught up with its streams. */
export async function startCommands(config: CommandsConfig, fail: Fail): Promise<CommandService> {
  const country = config.CELL_COUNTRY;
  const log = createLog('commands');
  const registry = createRegistry({ service: 'commands', country });
  const events = commandEvents(log, registry);
  const secret = (await readFile(config.COMMANDS_INTERNAL_SECRET_FILE, 'utf8')).trim();
  const client = kafkaOf(config);

  await using parts = new AsyncDisposableStack();
  const deliveryTimeoutMs = config.COMMANDS_DELIVERY_TIMEOUT_MS;
  const writer = parts.use(await openCommandWriter({ client, country, deliveryTimeoutMs }));
  const book = new CommandBook();
  const buildings = new Map<string, BuildingRecord>();
  const follower = parts.use(
    await followStreams({ client, country, book, buildings, events, fail }),
  );
  let caughtUp = false;
  follower.caughtUp.then(
    () => (caughtUp = true),
    () => undefined,
  );
  const desk = new CommandDesk({ book, writer, events, now: Date.now });
  parts.use(
    startLoop(async (signal) => {
      while (true) {
        await sleep(config.COMMANDS_EXPIRY_CHECK_MS, undefined, { signal });
        if (!caughtUp) continue; // what is not read yet may say that it was taken
        book.forget(Date.now());
        await desk.expire().catch((error: unknown) => events.expiryFailed(error));
      }
    }, fail),
  );
  const host = config.COMMANDS_HOST;
  const routes = commandRoutes({
    country,
    secret,
    buildings,
    book,
    desk,
    caughtUp: () => caughtUp,
  });
  const http = parts.use(
    await startHttp(routes, {
      host,
      port: config.COMMANDS_PORT,
      log,
      registry,
      trustRequestId: true,
    }),
  );
  // Ready only when it listens.
  const ready = () => (caughtUp ? true : ['streams are being read']);
  const admin = parts.use(
    await startAdmin({ host, port: config.COMMANDS_ADMIN_PORT, log, registry, ready }),
  );
  events.listening(http.url, admin.url);
  const running = parts.move();
  return {
    url: http.url,
    adminUrl: admin.url,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

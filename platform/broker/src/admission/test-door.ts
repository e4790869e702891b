import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gatewayName, issueCertificate, loopbackNames } from '@domicile/devkit/certificates.ts';
import type { MqttLimits } from '@domicile/mqtt/limits.ts';
import type { InboundMessage } from '@domicile/mqtt/owner.ts';
import { MqttServer } from '@domicile/mqtt/server.ts';
import { type KeyPair, createAuthority } from '@domicile/runtime/certificates.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { Registry } from 'prom-client';
import { type BrokerConfig, readConfig } from '../config.ts';
import { createBrokerEvents } from '../events.ts';
import { listen, type Listeners } from '../listeners.ts';
import { RegistryView } from '../model/registry-view.ts';
import { hashPassword } from '../password.ts';
import type { ClientIdentity, Peer } from './identity.ts';
import { type RunningAdmission, startAdmission } from './start-admission.ts';
import { revocationList } from './test-revocation-list.ts';

export const password = 'correct horse';

export interface DoorOptions {
  readonly config?: Partial<BrokerConfig>;
  readonly limits?: Partial<MqttLimits>;
  readonly openingTimeoutMs?: number;
  readonly reviewEveryMs?: number;
}

/** What lets clients in, with a server behind it that keeps what they say in memory. For tests. */
export class TestDoor implements AsyncDisposable {
  readonly authority: KeyPair;
  readonly folder: string;
  readonly messages: InboundMessage[] = [];
  readonly lines: string[] = [];
  readonly closed: number[] = [];
  readonly #metrics = new Registry();
  readonly #registry = new RegistryView('DE');
  #offset = 0n;
  #admission: RunningAdmission | undefined;
  #server: MqttServer<ClientIdentity, Peer> | undefined;
  #listeners: Listeners | undefined;

  static async open(options: DoorOptions = {}): Promise<TestDoor> {
    const folder = await mkdtemp(join(tmpdir(), 'door-'));
    const door = new TestDoor(folder, await createAuthority('cell-de'));
    await door.write('ca.pem', door.authority.certificate);
    await door.write('revoked.txt', '# none\n');
    await door.write('crl.pem', await revocationList(door.authority, []));
    await door.renewServer();
    await door.#open(options);
    return door;
  }

  private constructor(folder: string, authority: KeyPair) {
    this.folder = folder;
    this.authority = authority;
  }

  async #open(options: DoorOptions): Promise<void> {
    const { config = {}, limits = {}, openingTimeoutMs, reviewEveryMs } = options;
    const whole: BrokerConfig = {
      ...readConfig({ CELL_COUNTRY: 'DE', KAFKA_BOOTSTRAP: '127.0.0.1:1' }),
      tls: {
        certFile: this.path('server.pem'),
        keyFile: this.path('server.key'),
        caFile: this.path('ca.pem'),
        crlFile: this.path('crl.pem'),
        revokedFile: this.path('revoked.txt'),
      },
      tlsReloadMs: 50,
      ...config,
    };
    const log = createLog('broker', { write: (line) => this.lines.push(line) });
    const events = createBrokerEvents(this.#metrics, log);
    const admission = await startAdmission({
      config: whole,
      registry: this.#registry,
      events,
      ...(reviewEveryMs !== undefined && { reviewEveryMs }),
    });
    const { gatekeeper, tls } = admission;
    this.#admission = admission;
    const server = new MqttServer<ClientIdentity, Peer>(
      {
        authenticate: (request, peer) => gatekeeper.authenticate(request, peer),
        publish: async (session, message) => {
          const { payload, qos } = message;
          gatekeeper.took(session, { device: 'd1', bytes: payload.length, qos });
          this.messages.push(message);
          return 0;
        },
        subscribe: (session, asked) => gatekeeper.subscribing(session, asked) ?? asked.qos,
        will: () => undefined,
        opened: (session) => gatekeeper.opened(session),
        closed: (session, { reasonCode }) => {
          gatekeeper.closed(session);
          this.closed.push(reasonCode);
        },
        ended: (session) => gatekeeper.ended(session),
        holdMs: (session, bytes) => gatekeeper.holdMs(session, bytes),
        refused: (code) => events.clientRefused(code),
      },
      { limits },
    );
    this.#server = server;
    const free = { mqttPort: 0, mqttsPort: 0, wsPort: 0, wssPort: 0 };
    this.#listeners = await listen({
      host: '0.0.0.0',
      ...free,
      tls,
      handshakes: {
        perSecondMax: whole.handshakesPerSecondMax,
        waitingMax: whole.handshakesWaitingMax,
        addressWaitingMax: whole.addressHandshakesWaitingMax,
      },
      serve: (socket, peer) => server.serve(socket, peer),
      events,
      ...(openingTimeoutMs !== undefined && { openingTimeoutMs }),
    });
  }

  get listeners(): Listeners {
    if (!this.#listeners) throw new Error('The door is not open');
    return this.#listeners;
  }

  get connections(): number {
    return this.#server?.connections ?? 0;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** In one step, as who rotates files does it. */
  async write(name: string, text: string): Promise<void> {
    await writeFile(this.path(`${name}.new`), text);
    await rename(this.path(`${name}.new`), this.path(name));
  }

  async renewServer(): Promise<KeyPair> {
    const made = await issueCertificate(this.authority, { name: 'broker', names: loopbackNames });
    await this.write('server.key', made.key);
    await this.write('server.pem', made.certificate);
    return made;
  }

  async declare(building: string, more: object = {}): Promise<void> {
    const passwordHash = await hashPassword(password, { N: 16, r: 1, p: 1 });
    const record = { id: building, country: 'DE', state: 'active', passwordHash, ...more };
    this.#registry.note(building, Buffer.from(JSON.stringify(record)), (this.#offset += 1n));
    this.#admission?.gatekeeper.buildingChanged(building);
  }

  issue(building: string, of: { days?: number; authority?: KeyPair } = {}) {
    const { authority = this.authority, days } = of;
    return issueCertificate(authority, {
      name: 'gateway',
      names: [gatewayName({ country: 'DE', building, gateway: 'gw-1' })],
      ...(days !== undefined && { days }),
    });
  }

  client(transport: Peer['transport'], options: IClientOptions = {}): Promise<MqttClient> {
    const { mqttPort, mqttsPort, wsPort, wssPort } = this.listeners;
    const urls = {
      tcp: `mqtt://127.0.0.1:${mqttPort}`,
      tls: `mqtts://127.0.0.1:${mqttsPort}`,
      ws: `ws://127.0.0.1:${wsPort}/mqtt`,
      wss: `wss://127.0.0.1:${wssPort}/mqtt`,
    };
    return connectAsync(urls[transport], {
      protocolVersion: 5,
      reconnectPeriod: 0,
      ca: this.authority.certificate,
      ...options,
    });
  }

  /** With a password. */
  known(building: string, options: IClientOptions = {}): IClientOptions {
    return { username: building, password, ...options };
  }

  metrics(): Promise<string> {
    return this.#metrics.metrics();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listeners?.close();
    this.#server?.[Symbol.dispose]();
    this.#admission?.[Symbol.dispose]();
    await rm(this.folder, { recursive: true });
  }
}

/** The reason code of the DISCONNECT that ends it. */
export function endOf(client: MqttClient): Promise<number | undefined> {
  return new Promise((resolve) => {
    client.on('disconnect', ({ reasonCode }) => resolve(reasonCode));
    client.on('close', () => resolve(undefined));
  });
}

import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import { password, soon } from '../test-house.ts';

interface ClientOptions extends IClientOptions {
  /** It takes a message and never acks it. */
  readonly isSilent?: boolean;
}

/** A client of a building with a session that lives on, and what it heard from its first packet on. For tests. */
export class TestClient {
  readonly client: MqttClient;
  /** As `topic payload`. */
  readonly heard: string[] = [];
  /** Whether the session was there when it came. */
  resumed = false;
  /** Reason codes of DISCONNECT packets. */
  readonly disconnects: (number | undefined)[] = [];

  static async come(
    port: number,
    building: string,
    options: ClientOptions = {},
  ): Promise<TestClient> {
    // The registry may not have been read there.
    return soon(async () => {
      const client = new TestClient(port, building, options);
      await client.#connected();
      return client;
    });
  }

  private constructor(port: number, building: string, { isSilent, ...options }: ClientOptions) {
    this.client = connect({
      host: '127.0.0.1',
      port,
      reconnectPeriod: 0,
      protocolVersion: 5,
      username: building,
      password,
      clientId: 'gw',
      clean: false,
      properties: { sessionExpiryInterval: 600 },
      ...options,
    });
    this.client.on('message', (topic, payload) =>
      this.heard.push(`${topic} ${payload.toString()}`),
    );
    if (isSilent) this.client.handleMessage = () => undefined;
    this.client.on('disconnect', ({ reasonCode }) => this.disconnects.push(reasonCode));
    this.client.on('connect', ({ sessionPresent }) => {
      this.resumed = sessionPresent;
    });
  }

  /** Goes without a word, as when its power fails. */
  vanish(): void {
    this.client.stream.destroy();
  }

  async leave(): Promise<void> {
    await this.client.endAsync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.endAsync(true);
  }

  async #connected(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.client.once('connect', () => resolve());
      this.client.once('error', reject);
      this.client.once('close', () => reject(new Error('The connection was closed')));
    }).catch(async (error: unknown) => {
      await this.client.endAsync(true);
      throw error;
    });
    this.client.on('error', () => undefined);
  }
}

import { once } from 'node:events';
import { Socket } from 'node:net';
import { ModbusTCPClient, UserRequestError } from 'jsmodbus';
import type { RegisterRead, RegisterTable, RegisterWords } from '../../model/modbus-registers.ts';
import { DeviceSilent } from '../poll-loop.ts';

/** The device answered that it will not. Codes as in the Modbus application protocol 1.1b3, section 7. */
export class ModbusRefusal extends Error {
  override readonly name = 'ModbusRefusal';
  readonly code: number;

  constructor(code: number) {
    super(`exception ${code}: ${meanings[code] ?? 'unknown'}`);
    this.code = code;
  }
}

const meanings: Readonly<Record<number, string>> = {
  1: 'the device does not know the function',
  2: 'the device has no such register',
  3: 'the device does not take the value',
  4: 'the device failed',
  6: 'the device is busy',
};

/** Words of a gateway about a device that it cannot reach. */
const unreachableCodes = new Set([10, 11]);

export interface ModbusChannelOptions {
  readonly host: string;
  readonly port: number;
  readonly timeoutMs: number;
  readonly units: readonly number[];
}

interface Connected {
  readonly socket: Socket;
  readonly clients: ReadonlyMap<number, ModbusTCPClient>;
}

/**
 * One Modbus TCP connection, made when it is needed. One request at a time: that is its owner's to keep. A request that is not answered in
 * time ends the connection, since its answer could be taken for the next one's.
 */
export class ModbusChannel {
  readonly #options: ModbusChannelOptions;
  #connected: Connected | undefined;
  #isEnded = false;

  constructor(options: ModbusChannelOptions) {
    this.#options = options;
  }

  /** Words of 16 bits, or bits. Throws `DeviceSilent` and `ModbusRefusal`. */
  async read(unit: number, { table, start, count }: RegisterRead): Promise<RegisterWords> {
    const client = await this.#client(unit);
    return this.#asked(async () => {
      const { response } = await readers[table](client, start, count);
      return Array.from(response.body.valuesAsArray, Number).slice(0, count);
    });
  }

  /** Throws as `read`; with `DeviceSilent` nobody knows whether it was written. */
  async write(
    unit: number,
    at: { readonly table: RegisterTable; readonly address: number; readonly multiple: boolean },
    words: readonly number[],
  ): Promise<void> {
    const client = await this.#client(unit);
    const [word = 0] = words;
    await this.#asked(async () => {
      if (at.table === 'coil') await client.writeSingleCoil(at.address, word !== 0);
      else if (words.length === 1 && !at.multiple)
        await client.writeSingleRegister(at.address, word);
      else await client.writeMultipleRegisters(at.address, [...words]);
    });
  }

  async #asked<Result>(ask: () => Promise<Result>): Promise<Result> {
    try {
      return await ask();
    } catch (error) {
      const code = exceptionCodeOf(error);
      if (code !== undefined && !unreachableCodes.has(code)) throw new ModbusRefusal(code);
      if (code === undefined) this.close();
      throw new DeviceSilent(reasonOf(error));
    }
  }

  async #client(unit: number): Promise<ModbusTCPClient> {
    const connected = (this.#connected ??= await this.#connect());
    // It may have ended while it was connecting: nobody would close what came of that.
    if (this.#isEnded) this.close();
    if (this.#isEnded) throw new DeviceSilent('no connection: the agent stopped');
    const client = connected.clients.get(unit);
    if (!client) throw new RangeError(`Cannot ask unit ${unit}: it is not configured`);
    return client;
  }

  async #connect(): Promise<Connected> {
    const { host, port, timeoutMs, units } = this.#options;
    const socket = new Socket();
    // Each unit's client listens to it.
    socket.setMaxListeners(units.length * 4 + 10);
    socket.setNoDelay(true);
    const clients = units.map((unit): [number, ModbusTCPClient] => [
      unit,
      new ModbusTCPClient(socket, unit, timeoutMs),
    ]);
    try {
      const connected = once(socket, 'connect', { signal: AbortSignal.timeout(timeoutMs) });
      socket.connect(port, host);
      await connected;
    } catch (error) {
      socket.destroy();
      throw new DeviceSilent(`no connection: ${reasonOf(error)}`);
    }
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      if (this.#connected?.socket === socket) this.#connected = undefined;
    });
    return { socket, clients: new Map(clients) };
  }

  /** For good: connects no more. */
  end(): void {
    this.#isEnded = true;
    this.close();
  }

  close(): void {
    this.#connected?.socket.destroy();
    this.#connected = undefined;
  }
}

const readers = {
  holding: (client: ModbusTCPClient, start: number, count: number) =>
    client.readHoldingRegisters(start, count),
  input: (client: ModbusTCPClient, start: number, count: number) =>
    client.readInputRegisters(start, count),
  coil: (client: ModbusTCPClient, start: number, count: number) => client.readCoils(start, count),
  discrete: (client: ModbusTCPClient, start: number, count: number) =>
    client.readDiscreteInputs(start, count),
};

function exceptionCodeOf(error: unknown): number | undefined {
  if (!(error instanceof UserRequestError) || error.err !== 'ModbusException') return undefined;
  const body: unknown = error.response?.body;
  if (typeof body !== 'object' || body === null || !('code' in body)) return undefined;
  return typeof body.code === 'number' ? body.code : undefined;
}

function reasonOf(error: unknown): string {
  if (error instanceof UserRequestError)
    return error.err === 'Timeout' ? 'no answer in time' : error.err;
  if (error instanceof Error && 'code' in error) return String(error.code);
  return error instanceof Error ? error.name : 'unknown';
}

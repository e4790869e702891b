import { createHash } from 'node:crypto';
import { commandStatePayload } from '@domicile/core/command.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { type DeviceId, parseCommandId, parseDeviceId } from '@domicile/core/identities.ts';
import { parseTelemetry, payloadBytesMax } from '@domicile/core/telemetry.ts';
import { addRoute } from '@domicile/runtime/http-route.ts';
import { startHttp, stoppingOf } from '@domicile/runtime/http.ts';
import { type Request, type RequestHandler, type Response, Router, raw } from 'express';
import type { FieldMapping } from '../../model/fields.ts';
import { Rates } from '../../model/rate.ts';
import type { CommandOutcome, Driver, DriverHost } from '../driver.ts';
import { DeviceTokens } from './device-tokens.ts';
import { HttpCommands } from './http-commands.ts';
import { KeyMemory } from './key-memory.ts';
import { formType, jsonType, payloadOf } from './payload.ts';

export interface HttpDriverConfig extends FieldMapping {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** A token per device, or `sha256:` and its digest; absent: whoever reaches the port may send. */
  readonly tokens?: Readonly<Record<string, string>> | undefined;
  readonly requestsPerSecondMax: number;
  readonly answerTimeoutMs: number;
}

const keyLengthMax = 128;
const waitSecondsMax = 60;
const retryAfterSeconds = 5;

/**
 * `POST /v1/devices/{device}/telemetry`: JSON as in docs/api/mqtt.md, or a form or flat object as a microcontroller sends it. 200
 * `{"kept": n}` when it is on disk. With an `Idempotency-Key` a repeat is answered and not kept again. What cannot be read
 * is refused with every fault, and nothing of it is kept. `GET …/commands` waits for commands, `POST …/command-states/{command}` says
 * what became of one. Throws `CONFIG_INVALID`.
 */
export async function startHttpDriver(config: HttpDriverConfig, host: DriverHost): Promise<Driver> {
  const commands = new HttpCommands({
    now: host.now,
    answerTimeoutMs: config.answerTimeoutMs,
    reachable: (device) => host.reachable(device),
  });
  const router = new HttpDevices(config, host, commands).routes();
  const listener = await host.listen('http', { ...config, answersAll: true });
  const server = await startHttp(refusalsCounted(router, host), {
    host: config.host,
    port: config.port,
    listener,
    log: host.log,
    jsonBodies: false,
  });
  return {
    name: 'http',
    port: server.port,
    drives: (device) => commands.drives(device),
    apply: (command) => commands.apply(command),
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      commands.close();
    },
  };
}

class HttpDevices {
  readonly #config: HttpDriverConfig;
  readonly #host: DriverHost;
  readonly #commands: HttpCommands;
  readonly #tokens: DeviceTokens | undefined;
  readonly #memory = new KeyMemory<number>();
  readonly #rates: Rates;

  constructor(config: HttpDriverConfig, host: DriverHost, commands: HttpCommands) {
    this.#config = config;
    this.#host = host;
    this.#commands = commands;
    this.#tokens = config.tokens && new DeviceTokens(config.tokens);
    this.#rates = new Rates(config.requestsPerSecondMax);
  }

  routes(): Router {
    const router = Router();
    router.use(raw({ type: [jsonType, formType], limit: payloadBytesMax }));
    addRoute(router, '/v1/devices/:device/telemetry', {
      POST: this.#ofDevice((device, request, response) => this.#keep(device, request, response)),
    });
    addRoute(router, '/v1/devices/:device/commands', {
      GET: this.#ofDevice((device, request, response) => this.#give(device, request, response)),
    });
    addRoute(router, '/v1/devices/:device/command-states/:command', {
      POST: this.#ofDevice(async (device, request, response) =>
        this.#answered(device, request, response),
      ),
    });
    return router;
  }

  #ofDevice(
    act: (device: DeviceId, request: Request, response: Response) => Promise<void>,
  ): RequestHandler {
    return async (request, response) => {
      const device = parseDeviceId(String(request.params['device']));
      if (!(this.#tokens?.isOf(device, tokenIn(request)) ?? true)) {
        response.setHeader('WWW-Authenticate', 'Bearer');
        throw new PlatformError(
          'UNAUTHENTICATED',
          'Cannot take the request: send the token of this device as Authorization: Bearer',
        );
      }
      try {
        this.#requireRate(device, response);
        await act(device, request, response);
      } catch (error) {
        const isLater = error instanceof PlatformError && error.decision.retriable;
        if (isLater && !response.hasHeader('Retry-After'))
          response.setHeader('Retry-After', `${retryAfterSeconds}`);
        throw error;
      }
    };
  }

  #requireRate(device: DeviceId, response: Response): void {
    const waitMs = this.#rates.waitMs(device, this.#host.now());
    if (waitMs === 0) return;
    response.setHeader('Retry-After', `${Math.ceil(waitMs / 1000)}`);
    throw new PlatformError(
      'RATE_LIMITED',
      `Cannot take the request: the device sends more than ${this.#config.requestsPerSecondMax} a second`,
    );
  }

  async #keep(device: DeviceId, request: Request, response: Response): Promise<void> {
    const payload = payloadOf(request, this.#config);
    const keep = () => this.#keepReadings(device, payload);
    const key = keyOf(request, device);
    const kept = await (key === undefined
      ? keep()
      : this.#memory.once(key, createHash('sha256').update(payload).digest(), keep));
    response.json({ kept });
  }

  async #keepReadings(device: DeviceId, payload: Buffer): Promise<number> {
    const { readings, faults } = parseTelemetry(payload);
    if (faults.length > 0)
      throw new PlatformError('VALUE_INVALID', 'Cannot keep readings: they break the contract', {
        faults: faults.map(({ pointer, detail }) => ({ pointer, detail })),
      });
    await this.#host.take([{ device, payload }]);
    this.#host.events.readingTaken('http', readings.length);
    return readings.length;
  }

  async #give(device: DeviceId, request: Request, response: Response): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const signal = AbortSignal.any([gone.signal, stoppingOf(request)]);
    const commands = await this.#commands.fetch(device, waitMsIn(request), signal);
    if (gone.signal.aborted) return;
    response.json({
      commands: commands.map(({ id, set, expiresAt }) => ({ id, set, expiresAt })),
    });
  }

  #answered(device: DeviceId, request: Request, response: Response): void {
    const id = parseCommandId(String(request.params['command']));
    if (!this.#commands.answer(device, id, outcomeIn(request, id)))
      throw new PlatformError('NOT_FOUND', 'Cannot take the state: no such command is open');
    response.json({ id });
  }
}

function tokenIn(request: Request): string {
  return /^Bearer (.+)$/i.exec(request.get('authorization') ?? '')?.[1] ?? '';
}

function waitMsIn(request: Request): number {
  const text = request.query['waitSeconds'] ?? '30';
  const seconds = typeof text === 'string' && /^\d{1,3}$/.test(text) ? Number(text) : -1;
  if (seconds < 0 || seconds > waitSecondsMax)
    throw new PlatformError(
      'VALUE_INVALID',
      `Cannot wait: waitSeconds must be a whole number from 0 to ${waitSecondsMax}`,
    );
  return seconds * 1000;
}

/** `{"state":"applied"|"failed","reason"?}`, as JSON or as a form. */
function outcomeIn(request: Request, id: string): CommandOutcome {
  const body: unknown = request.body;
  const text = Buffer.isBuffer(body) ? body.toString() : '';
  const told = request.is(formType) === false ? jsonOf(text) : formOf(text);
  const answer = commandStatePayload.partial({ at: true }).safeParse({ ...told, id });
  const { state, reason = 'the device gave no reason' } = answer.data ?? {};
  if (state === 'applied') return { state };
  if (state === 'failed') return { state, reason };
  throw new PlatformError(
    'VALUE_INVALID',
    'Cannot take the state: send {"state":"applied"} or {"state":"failed","reason":"…"}',
  );
}

function formOf(text: string): object {
  return Object.fromEntries(new URLSearchParams(text));
}

function jsonOf(text: string): object {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null ? json : {};
  } catch {
    return {};
  }
}

function keyOf(request: Request, device: DeviceId): string | undefined {
  const key = request.get('idempotency-key');
  if (key === undefined) return undefined;
  if (key.length === 0 || key.length > keyLengthMax)
    throw new PlatformError(
      'VALUE_INVALID',
      `Cannot read Idempotency-Key: it must have 1 to ${keyLengthMax} characters`,
    );
  return `${device} ${key}`;
}

function refusalsCounted(router: Router, { events }: DriverHost): Router {
  const counted = Router();
  counted.use((_request, response, next) => {
    response.once('finish', () => {
      if (response.statusCode >= 400) events.readingRefused('http', `${response.statusCode}`);
    });
    next();
  });
  counted.use(router);
  return counted;
}

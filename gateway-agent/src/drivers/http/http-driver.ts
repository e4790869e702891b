import { createHash, timingSafeEqual } from 'node:crypto';
import { PlatformError } from '@domicile/core/errors.ts';
import { type DeviceId, parseDeviceId } from '@domicile/core/identities.ts';
import { parseTelemetry, payloadBytesMax } from '@domicile/core/telemetry.ts';
import { addRoute } from '@domicile/runtime/http-route.ts';
import { startHttp } from '@domicile/runtime/http.ts';
import { type Request, Router, raw } from 'express';
import type { Driver, DriverHost } from '../driver.ts';
import { KeyMemory } from './key-memory.ts';

export interface HttpDriverConfig {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** A token per device; absent: whoever reaches the port may send. */
  readonly tokens?: Readonly<Record<string, string>> | undefined;
}

const keyLengthMax = 128;

/**
 * `POST /v1/devices/{device}/telemetry`, JSON as in docs/api/mqtt.md, as a microcontroller sends it. 200 `{"kept": n}` when it is on
 * disk. With an `Idempotency-Key` a repeat is answered and not kept again. What cannot be read is
 * refused with every fault, and nothing of it is kept.
 */
export async function startHttpDriver(config: HttpDriverConfig, host: DriverHost): Promise<Driver> {
  const memory = new KeyMemory<number>();
  const router = Router();
  router.use(raw({ type: 'application/json', limit: payloadBytesMax }));
  addRoute(router, '/v1/devices/:device/telemetry', {
    POST: async (request, response) => {
      const device = parseDeviceId(String(request.params['device']));
      authenticate(request, device, config.tokens);
      const payload = bodyOf(request);
      const keep = () => keepReadings(host, device, payload);
      const key = keyOf(request, device);
      const kept = await (key === undefined ? keep() : memory.once(key, digestOf(payload), keep));
      response.json({ kept });
    },
  });
  const { log } = host;
  const server = await startHttp(refusalsCounted(router, host), {
    host: config.host,
    port: config.port,
    listener: await host.listen('http', config),
    log,
    jsonBodies: false,
  });
  return {
    name: 'http',
    port: server.port,
    drives: () => false,
    apply: async () => ({ state: 'failed', reason: 'devices that post cannot be told anything' }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function keepReadings(host: DriverHost, device: DeviceId, payload: Buffer): Promise<number> {
  const { readings, faults } = parseTelemetry(payload);
  if (faults.length > 0)
    throw new PlatformError('VALUE_INVALID', 'Cannot keep readings: they break the contract', {
      details: { errors: faults.map(({ pointer, detail }) => ({ pointer, detail })) },
      faults,
    });
  await host.take([{ device, payload }]);
  host.events.readingTaken('http', readings.length);
  return readings.length;
}

function authenticate(
  request: Request,
  device: DeviceId,
  tokens: HttpDriverConfig['tokens'],
): void {
  if (!tokens) return;
  const given = /^Bearer (.+)$/i.exec(request.get('authorization') ?? '')?.[1] ?? '';
  const expected = Object.hasOwn(tokens, device) ? tokens[device] : undefined;
  if (expected === undefined || !isSame(given, expected))
    throw new PlatformError('UNAUTHENTICATED', 'Cannot keep readings: the device token is wrong');
}

function isSame(given: string, expected: string): boolean {
  return timingSafeEqual(digestOf(Buffer.from(given)), digestOf(Buffer.from(expected)));
}

function bodyOf(request: Request): Buffer {
  const body: unknown = request.body;
  if (Buffer.isBuffer(body)) return body;
  throw new PlatformError('MEDIA_TYPE_UNSUPPORTED', 'Cannot keep readings: send application/json');
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

function digestOf(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
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

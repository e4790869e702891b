import { Writable } from 'node:stream';
import { createAgentEvents } from '@domicile/gateway-agent/events.ts';
import { openStore } from '@domicile/gateway-agent/store/open-store.ts';
import type { Entry, Store } from '@domicile/gateway-agent/store/store.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';

export const devicesCount = 100;
export const everyMs = 10_000;

/** Repeatable chance (mulberry32): rooms differ, runs do not. */
function chanceOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Rooms of a building over days: temperature and humidity follow the day with the noise of a sensor, CO2 follows people. As the
 * agent keeps what a device without clock says: a time and three values.
 */
export class Building {
  readonly #chance = chanceOf(1);
  readonly #co2 = Array.from({ length: devicesCount }, () => 420);
  readonly #fromMs: number;
  #place = 0;

  constructor(fromMs: number) {
    this.#fromMs = fromMs;
  }

  next(): Entry {
    const room = this.#place % devicesCount;
    const tick = Math.floor(this.#place / devicesCount);
    this.#place += 1;
    const atMs = this.#fromMs + tick * everyMs + room * 97 + Math.floor(this.#chance() * 40);
    const day = Math.sin((atMs / 86_400_000) * 2 * Math.PI + room / 40);
    const temperature = (21 + 2 * day + (this.#chance() - 0.5) / 5).toFixed(2);
    const humidity = (45 - 6 * day + (this.#chance() - 0.5) / 2).toFixed(1);
    const people = day > 0 ? 30 * this.#chance() : -4;
    const co2 = Math.min(1800, Math.max(410, (this.#co2[room] ?? 420) + people - 10 * day));
    this.#co2[room] = co2;
    const values = `"temperature":${temperature},"humidity":${humidity},"co2":${Math.round(co2)}`;
    const at = new Date(atMs).toISOString();
    return {
      device: `r${100 + room}-air`,
      lane: 'live',
      reading: { kind: 'own', text: `{"at":"${at}","timeSource":"gateway","values":{${values}}}` },
    };
  }

  take(count: number): Entry[] {
    return Array.from({ length: count }, () => this.next());
  }
}

/** A store with an agent's settings. */
export function openBenchmarkStore(directory: string): Promise<Store> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const registry = createRegistry({ service: 'gateway-agent', country: 'de' });
  return openStore({
    directory,
    bytesMax: 8 * 1024 ** 3,
    freeBytesMin: 64 * 1024 ** 2,
    segmentBytesMax: 8 * 1024 ** 2,
    whenFull: 'refuse',
    checkpointEveryMs: 2000,
    events: createAgentEvents(registry, createLog('gateway-agent', silent)),
    listener: { appended: () => undefined, accountChanged: () => undefined },
    fail: (error) => {
      throw error;
    },
    now: Date.now,
  });
}

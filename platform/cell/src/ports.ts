import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { z } from 'zod';
import { writePrivate } from './secrets.ts';

const kept = z.record(z.string(), z.number().int());

/** Ports of loopback, the same at every start as long as nobody else has taken them. */
export class Ports {
  readonly #file: string;
  readonly #ports: Record<string, number>;
  /** Given out by this instance: whoever asked may be listening by now. */
  readonly #given = new Map<string, number>();

  static async open(file: string): Promise<Ports> {
    const text = existsSync(file) ? await readFile(file, 'utf8') : '{}';
    return new Ports(file, kept.parse(JSON.parse(text)));
  }

  private constructor(file: string, ports: Record<string, number>) {
    this.#file = file;
    this.#ports = ports;
  }

  /** The port of a name: the one it had, else `preferred`, else a free one. */
  async of(name: string, preferred = 0): Promise<number> {
    const given = this.#given.get(name);
    if (given !== undefined) return given;
    const had = this.#ports[name];
    const taken = new Set(
      Object.entries(this.#ports).flatMap(([other, port]) => (other === name ? [] : [port])),
    );
    for (const candidate of [had, preferred, 0, 0, 0]) {
      if (candidate === undefined || (candidate !== 0 && taken.has(candidate))) continue;
      const port = await freePort(candidate);
      if (port === undefined || taken.has(port)) continue;
      this.#ports[name] = port;
      this.#given.set(name, port);
      await writePrivate(this.#file, JSON.stringify(this.#ports));
      return port;
    }
    throw new Error(`Cannot find a free port for ${name}`);
  }
}

/** The port itself if it is free, any for 0; undefined if it is taken. */
async function freePort(port: number): Promise<number | undefined> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : undefined;
  } catch {
    return undefined;
  } finally {
    server.close();
  }
}

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { must } from '@domicile/core/invariants.ts';
import { freePorts, isFreePort } from '@domicile/devkit/free-ports.ts';
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
    for (const port of [had ?? 0, preferred])
      if (port !== 0 && !taken.has(port) && (await isFreePort(port))) return this.#give(name, port);
    const found = await freePorts(taken.size + 1);
    const port = found.find((one) => !taken.has(one));
    return this.#give(name, must(port, 'One more than are taken'));
  }

  async #give(name: string, port: number): Promise<number> {
    this.#ports[name] = port;
    this.#given.set(name, port);
    await writePrivate(this.#file, JSON.stringify(this.#ports));
    return port;
  }
}

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask } from '../support/api.ts';
import { seededDice } from './fault-plan.ts';

export interface SentCommand {
  readonly id: string;
  readonly building: string;
  readonly device: string;
}

export interface CommandView {
  readonly id: string;
  readonly state: string;
  readonly history: readonly { readonly state: string; readonly at: string }[];
}

export interface CommanderOptions {
  readonly api: string;
  readonly token: string;
  readonly seed: number;
  readonly buildings: readonly string[];
  readonly devices: readonly string[];
}

const everyMs = 2_000;
const lifeMs = 60_000;
/** How long one command is tried with the same idempotency key. */
const tryForMs = 45_000;
const retryMs = 1_000;
/** A run of half an hour asks more often than a person may. */
const limitedTriesMax = 10;

/** What a command ends with; a later `applied` wins over `expired` and `unknown`. */
export const endStates: ReadonlySet<string> = new Set(['applied', 'failed', 'expired', 'unknown']);

/** A person who sets thermostats, and asks again with the same key when no answer came. */
export class Commander {
  readonly sent: SentCommand[] = [];
  readonly #options: CommanderOptions;
  readonly #applied = new Map<string, CommandView>();
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;

  constructor(options: CommanderOptions) {
    this.#options = options;
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  /** What the cell says of it now; what was applied stays so and is asked once. */
  async view({ id, building, device }: SentCommand): Promise<CommandView> {
    const known = this.#applied.get(id);
    if (known) return known;
    const { api, token } = this.#options;
    const path = `/v1/buildings/${building}/devices/${device}/commands/${id}`;
    for (let tries = 0; ; tries += 1) {
      const response = await ask(api, path, { token });
      const text = await response.text();
      if (response.ok) {
        const view: CommandView = JSON.parse(text);
        if (view.state === 'applied') this.#applied.set(id, view);
        return view;
      }
      if (response.status !== 429 || tries === limitedTriesMax)
        throw new Error(`GET ${path}: ${response.status}`);
      await sleep(Number(response.headers.get('retry-after') ?? 1) * 1_000);
    }
  }

  async #run(): Promise<void> {
    const { seed, buildings, devices } = this.#options;
    const dice = seededDice(seed);
    const oneOf = (items: readonly string[]): string =>
      items[Math.floor(dice() * items.length)] ?? '';
    while (!this.#stop.signal.aborted) {
      const [building, device] = [oneOf(buildings), oneOf(devices)];
      await this.#send({ building, device, target: 15 + Math.round(dice() * 10) });
      await sleep(everyMs, undefined, { signal: this.#stop.signal }).catch(() => {});
    }
  }

  async #send(order: { building: string; device: string; target: number }): Promise<void> {
    const { api, token } = this.#options;
    const { building, device, target } = order;
    const key = randomUUID();
    const deadline = Date.now() + tryForMs;
    const expiresAt = new Date(Date.now() + lifeMs).toISOString();
    while (Date.now() < deadline) {
      const response = await ask(api, `/v1/buildings/${building}/devices/${device}/commands`, {
        token,
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': key },
        body: JSON.stringify({ set: { target_temperature: target }, expiresAt }),
      }).catch(() => undefined);
      if (response?.status === 202) {
        const { id }: { id: string } = JSON.parse(await response.text());
        this.sent.push({ id, building, device });
        return;
      }
      await response?.body?.cancel();
      await sleep(retryMs);
    }
  }
}

import type { PlatformError } from '@domicile/core/errors.ts';

/** Whether a store answers at present, as its last request went. */
export class StoreOutage {
  readonly #name: string;
  readonly #now: () => number;
  #sinceMs: number | undefined;
  #message = '';

  /** `name`: of the part of the lake. */
  constructor(name: string, now: () => number = Date.now) {
    this.#name = name;
    this.#now = now;
  }

  failed(error: PlatformError): void {
    this.#sinceMs ??= this.#now();
    this.#message = error.message;
  }

  answered(): void {
    this.#sinceMs = undefined;
  }

  /** 0 if it answers. */
  get seconds(): number {
    return this.#sinceMs === undefined ? 0 : (this.#now() - this.#sinceMs) / 1000;
  }

  /** Undefined if it answers. */
  get reason(): string | undefined {
    if (this.#sinceMs === undefined) return undefined;
    return `${this.#name} is out since ${new Date(this.#sinceMs).toISOString()}: ${this.#message}`;
  }
}

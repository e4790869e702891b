import type { PlatformError } from '@domicile/core/errors.ts';

/**
 * Whether a store answers at present: any answer says that it does, a failure that it does not, unless a request begun later was
 * answered.
 */
export class StoreOutage {
  readonly #name: string;
  readonly #now: () => number;
  #sinceMs: number | undefined;
  #message = '';
  #begun = 0;
  #answeredLast = 0;

  /** `name`: of the part of the lake. */
  constructor(name: string, now: () => number = Date.now) {
    this.#name = name;
    this.#now = now;
  }

  /** A request, to say later how it went: one that hung may end long after others were answered. */
  begin(): number {
    this.#begun += 1;
    return this.#begun;
  }

  failed(request: number, error: PlatformError): void {
    if (request < this.#answeredLast) return;
    this.#sinceMs ??= this.#now();
    this.#message = error.message;
  }

  answered(request: number): void {
    this.#answeredLast = Math.max(this.#answeredLast, request);
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

/** What one request meets instead of a sound answer. */
export type GcsTrouble =
  | { readonly kind: 'fail'; readonly status: number }
  /** Nothing is answered until the asker goes. */
  | { readonly kind: 'hang' }
  /** The request is carried out and answered this much later, whether or not the asker is still there. */
  | { readonly kind: 'late'; readonly delayMs: number }
  /** The request is carried out, and the connection is cut before its answer. */
  | { readonly kind: 'lose-answer' }
  /** The bytes of a read differ from what is stored; its checksum is right. */
  | { readonly kind: 'corrupt' }
  /** The checksum of a read or of an upload's answer is wrong; the bytes are right. */
  | { readonly kind: 'wrong-checksum' }
  /** A read ends after half of its bytes. */
  | { readonly kind: 'cut' };

export interface GcsRequestLine {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly isRead: boolean;
}

interface Planned {
  readonly trouble: GcsTrouble;
  readonly meets: (request: GcsRequestLine) => boolean;
  left: number;
}

const everyRequest = ({ target }: GcsRequestLine): boolean => !target.startsWith('/token');
const everyRead = ({ isRead }: GcsRequestLine): boolean => isRead;
const everyChange = ({ method, target }: GcsRequestLine): boolean =>
  method !== 'GET' && everyRequest({ method, target, isRead: false });

/** Faults to come. Each is met by the next requests that it is for, and by no more than it says. */
export class GcsFaults {
  #planned: Planned[] = [];

  failNext(times: number, status = 503, meets = everyRequest): void {
    this.#plan({ kind: 'fail', status }, times, meets);
  }

  hangNext(times: number, meets = everyRequest): void {
    this.#plan({ kind: 'hang' }, times, meets);
  }

  delayNext(times: number, delayMs: number, meets = everyChange): void {
    this.#plan({ kind: 'late', delayMs }, times, meets);
  }

  loseNextAnswers(times: number, meets = everyChange): void {
    this.#plan({ kind: 'lose-answer' }, times, meets);
  }

  corruptNextReads(times: number): void {
    this.#plan({ kind: 'corrupt' }, times, everyRead);
  }

  cutNextReads(times: number): void {
    this.#plan({ kind: 'cut' }, times, everyRead);
  }

  wrongChecksumOnNext(times: number, meets = everyRequest): void {
    this.#plan({ kind: 'wrong-checksum' }, times, meets);
  }

  /** Requests that will still meet one. */
  get left(): number {
    return this.#planned.reduce((sum, { left }) => sum + left, 0);
  }

  clear(): void {
    this.#planned = [];
  }

  /** What this request meets; it counts as met. */
  meet(request: GcsRequestLine): GcsTrouble | undefined {
    const planned = this.#planned.find(({ left, meets }) => left > 0 && meets(request));
    if (!planned) return undefined;
    planned.left -= 1;
    return planned.trouble;
  }

  #plan(trouble: GcsTrouble, left: number, meets: Planned['meets']): void {
    this.#planned = [...this.#planned.filter((one) => one.left > 0), { trouble, left, meets }];
  }
}

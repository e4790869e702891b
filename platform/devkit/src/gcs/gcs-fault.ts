/** What the emulator answers instead of what was asked: as the JSON API of Cloud Storage words it. */
export class GcsFault extends Error {
  override readonly name = 'GcsFault';
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }

  body(): string {
    const errors = [{ message: this.message, domain: 'global', reason: this.reason }];
    return JSON.stringify({ error: { code: this.status, message: this.message, errors } });
  }
}

export const notFound = (what: string): GcsFault =>
  new GcsFault(404, 'notFound', `The specified ${what} does not exist.`);

export const badRequest = (message: string): GcsFault => new GcsFault(400, 'invalid', message);

export const conditionNotMet = (): GcsFault =>
  new GcsFault(
    412,
    'conditionNotMet',
    'At least one of the pre-conditions you specified did not hold.',
  );

/** One line of `domicile-gateway check`. */
export interface Finding {
  readonly level: 'ok' | 'warn' | 'fail';
  /** What was looked at, a word or two. */
  readonly what: string;
  readonly text: string;
  /** What to do about it. */
  readonly todo?: string;
}

export function ok(what: string, text: string): Finding {
  return { level: 'ok', what, text };
}

export function warn(what: string, text: string, todo: string): Finding {
  return { level: 'warn', what, text, todo };
}

export function fail(what: string, text: string, todo: string): Finding {
  return { level: 'fail', what, text, todo };
}

export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  const first = error instanceof AggregateError ? error.errors[0] : undefined;
  const { message } = first instanceof Error ? first : error;
  // Node adds advice for its own developers.
  return message.replace(/; if the root CA.*$/, '');
}

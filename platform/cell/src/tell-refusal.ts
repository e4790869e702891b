import { PlatformError } from '@domicile/core/errors.ts';

/** Says why this process does not go on, and what to do; it ends with status 1. Anything but a `PlatformError` is thrown on. */
export function tellRefusal(error: unknown): void {
  if (!(error instanceof PlatformError)) throw error;
  process.stderr.write(`${error.message}\n${error.decision.action}\n`);
  process.exitCode = 1;
}

/**
 * Loaded before a process's own code (`NODE_OPTIONS=--import=file:…/skewed-clock.ts?file=…`): its wall clock is off by what that
 * file says, in milliseconds, and jumps when the file changes. The monotonic clock stays right, as on a real machine.
 */
import { readFileSync } from 'node:fs';

const file = new URL(import.meta.url).searchParams.get('file');
const readEveryMs = 250;
const TrueDate = Date;
const trueNow = Date.now.bind(Date);
let skewMs = 0;

function readSkew(): void {
  try {
    skewMs = Number(readFileSync(file ?? '', 'utf8')) || 0;
  } catch {
    skewMs = 0;
  }
}

readSkew();
setInterval(readSkew, readEveryMs).unref();

globalThis.Date = new Proxy(TrueDate, {
  construct: (target, given: readonly unknown[], newTarget) =>
    Reflect.construct(target, given.length === 0 ? [trueNow() + skewMs] : [...given], newTarget),
  apply: () => new TrueDate(trueNow() + skewMs).toString(),
});
TrueDate.now = () => trueNow() + skewMs;

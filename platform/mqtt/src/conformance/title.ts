import type { Case } from './bench.ts';
import type { Version } from './wire.ts';

/** The name of a test: the standard, its statements, a sentence. */
export function titleOf({ v3, v5, says }: Case, version: Version): string {
  const numbers = (version === 4 ? v3 : v5) ?? '';
  const standard = version === 4 ? 'MQTT 3.1.1' : 'MQTT 5.0';
  return `${standard} [${numbers.split(' ').join('] [')}] ${says}`;
}

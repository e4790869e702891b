import { Gauge } from 'prom-client';
import type { Breach } from '../../model/residency-guard.ts';
import type { KubeObject } from '../../runtime/kube.ts';
import type { OperatorPorts } from '../../runtime/ports.ts';
import type { ConditionNow } from '../../runtime/status-writer.ts';

export type CellEvents = ReturnType<typeof cellEvents>;

/**
 * In ten minutes so many different events of what was brought about, the rest is in the log: an object has only so many events,
 * and who changes things all the time must not use up those of a breach.
 */
const broughtAboutMax = 8;
const windowMs = 600_000;

/** What happens to a cell: told as events of the resource, as metrics and in the log. */
export function cellEvents({ events, log, registry, now }: OperatorPorts) {
  const breaches = new Gauge({
    name: 'domicile_residency_breaches',
    help: 'Parts of the cell that were found outside its country, or whose place is unknown',
    labelNames: ['concern', 'reason'],
    registers: [registry],
  });
  const changes: string[] = [];
  const told = new Map<string, number>();
  const mayTell = (note: string): boolean => {
    for (const [one, atMs] of told) if (now() - atMs >= windowMs) told.delete(one);
    if (!told.has(note) && told.size >= broughtAboutMax) return false;
    told.set(note, told.get(note) ?? now());
    return true;
  };
  return {
    residency(cell: KubeObject, found: readonly Breach[]) {
      breaches.reset();
      for (const { concern, reason, evidence } of found) {
        breaches.inc({ concern, reason });
        log.error({ concern, reason, evidence }, 'Residency is breached');
        events.record(cell, {
          type: 'Warning',
          reason,
          action: 'VerifyResidency',
          note: evidence,
        });
      }
    },
    changed(cell: KubeObject, what: string, detail: string) {
      log.info({ cell: cell.metadata.name, what, detail }, 'Brought about');
      changes.push(`${what}: ${detail}`);
    },
    /** One event of a look, whatever it changed: an object has only so many. */
    looked(cell: KubeObject) {
      const [first] = changes;
      if (first === undefined) return;
      const more = changes.length > 1 ? ` (and ${changes.length - 1} more)` : '';
      const note = `${first}${more}`;
      changes.length = 0;
      if (!mayTell(note)) return;
      events.record(cell, { type: 'Normal', reason: 'BroughtAbout', action: 'Reconcile', note });
    },
    /** Kafka or the store did not do what was asked. */
    troubled(cell: KubeObject, { reason, message }: ConditionNow, error: unknown) {
      log.warn({ cell: cell.metadata.name, reason, err: error }, 'Not everything could be done');
      events.record(cell, { type: 'Warning', reason, action: 'Reconcile', note: message });
    },
    gone() {
      breaches.reset();
    },
  };
}

import type { Logger } from 'pino';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Refusal } from './model/request-policy.ts';

export type IssuerEvents = ReturnType<typeof issuerEvents>;

/** The business events of the issuer. What strangers sent is counted, not logged; tokens never come here. */
export function issuerEvents(log: Logger, registry: Registry) {
  const issued = new Counter({
    name: 'issuer_certificates_total',
    help: 'Certificates issued, by first enrolment or renewal',
    labelNames: ['kind'],
    registers: [registry],
  });
  const refused = new Counter({
    name: 'issuer_refused_total',
    help: 'Requests refused, by why',
    labelNames: ['reason'],
    registers: [registry],
  });
  const until = new Gauge({
    name: 'issuer_authority_not_after_seconds',
    help: "When the authority's own certificate ends, Unix time",
    registers: [registry],
  });
  return {
    opened(authorityUntil: Date) {
      until.set(authorityUntil.getTime() / 1000);
    },
    issued(of: {
      readonly kind: 'first' | 'renewal';
      readonly building: string;
      readonly gateway: string;
      readonly serial: string;
      readonly until: string;
    }) {
      issued.inc({ kind: of.kind });
      log.info(of, 'Certificate issued');
    },
    refused(reason: Refusal) {
      refused.inc({ reason });
    },
    failed(error: unknown) {
      log.error({ err: error }, 'Issuer failed');
    },
  };
}

import type { Logger } from 'pino';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { CertificateInfo } from './enrolment/certificate-files.ts';
import type { Enrolled } from './enrolment/enrol.ts';

/** What happens in the agent, one function an event: its metric and, where someone acts on it, its log line. */
export interface AgentEvents {
  storeOpened(of: {
    boot: string;
    next: number;
    unsent: number;
    renewedFor?: string | undefined;
  }): void;
  batchSynced(of: { records: number; bytes: number; seconds: number }): void;
  appendRefused(code: string): void;
  recordsUnreadable(count: number): void;
  recordsDropped(count: number, reason: string): void;
  diskFull(): void;
  uplinkConnected(): void;
  uplinkLost(reason: string): void;
  uplinkFailed(reason: string): void;
  /** What waits in the store cannot be read; it is tried again. */
  backlogFailed(reason: string): void;
  accountFailed(reason: string): void;
  statesFailed(reason: string): void;
  messageSent(of: { lane: string; readings: number; seconds: number }): void;
  messageRefused(of: { lane: string; device: string; reasonCode: number }): void;
  readingTaken(driver: string, count: number): void;
  /** Readings of devices are on disk; one call for what came together. */
  devicesHeard(of: readonly { readonly device: string; readonly readings: number }[]): void;
  readingRefused(driver: string, code: string): void;
  /** Whether the machine's clock has been set. */
  clockKnown(isKnown: boolean): void;
  /** The machine's clock was set by so many ms. */
  clockJumped(ms: number): void;
  /** A device's clock is so many ms off: the agent's stands in for it. */
  deviceClockOff(device: string, offMs: number): void;
  commandRefused(): void;
  commandsUnreadable(): void;
  commandMoved(of: { command: string; device: string; state: string }): void;
  /** The certificate that is in use, looked at. */
  certificateSeen(certificate: CertificateInfo): void;
  certificateIssued(enrolled: Enrolled): void;
  enrolmentFailed(of: { reason: string; retryInMs: number }): void;
}

export function createAgentEvents(registry: Registry, log: Logger): AgentEvents {
  return {
    ...storeEvents(registry, log),
    ...uplinkEvents(registry, log),
    ...driverEvents(registry, log),
    ...certificateEvents(registry, log),
  };
}

function storeEvents(registry: Registry, log: Logger) {
  const registers = [registry];
  const syncSeconds = new Histogram({
    name: 'gateway_store_sync_seconds',
    help: 'From the start of a write to its sync.',
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2],
    registers,
  });
  const records = counter(registry, 'gateway_store_records_total', 'Records kept.');
  const refused = counter(registry, 'gateway_store_refused_total', 'Appends refused.', 'code');
  const unreadable = counter(
    registry,
    'gateway_store_unreadable_total',
    'Records that cannot be read.',
  );
  const dropped = counter(registry, 'gateway_store_dropped_total', 'Records dropped.', 'reason');
  const fullDisk = counter(
    registry,
    'gateway_store_disk_full_total',
    'Times that there was no room to write down what was sent.',
  );
  return {
    storeOpened(of) {
      log.info(of, 'Store opened');
      if (of.renewedFor !== undefined && of.renewedFor !== 'a new store')
        log.warn({ boot: of.boot, reason: of.renewedFor }, 'Numbering begun anew');
    },
    batchSynced(of) {
      records.inc(of.records);
      syncSeconds.observe(of.seconds);
    },
    appendRefused: (code) => refused.inc({ code }),
    recordsUnreadable(count) {
      unreadable.inc(count);
      if (count > 0) log.error({ count }, 'Records cannot be read');
      else log.error('A file of the store has changed; all of its records can be read');
    },
    recordsDropped(count, reason) {
      dropped.inc({ reason }, count);
      if (reason === 'store-full') log.warn({ count, reason }, 'Records dropped');
    },
    diskFull() {
      fullDisk.inc();
      log.warn('Disk is full, marks are not kept');
    },
  } satisfies Partial<AgentEvents>;
}

function uplinkEvents(registry: Registry, log: Logger) {
  const registers = [registry];
  const connected = new Gauge({
    name: 'gateway_uplink_connected',
    help: '1 while connected.',
    registers,
  });
  const readings = counter(registry, 'gateway_uplink_readings_total', 'Readings acked.', 'lane');
  const failures = counter(
    registry,
    'gateway_uplink_failures_total',
    'Connections that did not come about.',
  );
  const refused = counter(registry, 'gateway_uplink_refused_total', 'Messages refused.', 'reason');
  const ackSeconds = new Histogram({
    name: 'gateway_uplink_ack_seconds',
    help: 'From a publish to its ack.',
    labelNames: ['lane'],
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10],
    registers,
  });
  return {
    uplinkConnected() {
      connected.set(1);
      log.info('Uplink connected');
    },
    uplinkLost(reason) {
      connected.set(0);
      if (isOwnEnd(reason)) log.info('Uplink closed');
      else log.warn({ reason }, 'Uplink lost');
    },
    uplinkFailed(reason) {
      failures.inc();
      log.warn({ reason }, 'Uplink cannot connect');
    },
    backlogFailed(reason) {
      log.error({ reason }, 'Backlog cannot be read, it is tried again; look after the disk');
    },
    accountFailed(reason) {
      log.warn({ reason }, 'Account not told');
    },
    statesFailed(reason) {
      log.warn({ reason }, 'States of commands not told');
    },
    messageSent(of) {
      readings.inc({ lane: of.lane }, of.readings);
      ackSeconds.observe({ lane: of.lane }, of.seconds);
    },
    messageRefused({ lane, device, reasonCode }) {
      const reason = `0x${reasonCode.toString(16)}`;
      refused.inc({ reason });
      log.warn({ lane, device, reason }, 'Message refused by the cell');
    },
  } satisfies Partial<AgentEvents>;
}

function driverEvents(registry: Registry, log: Logger) {
  const taken = counter(registry, 'gateway_driver_readings_total', 'Readings taken in.', 'driver');
  const refused = new Counter({
    name: 'gateway_driver_refused_total',
    help: 'Messages refused to devices.',
    labelNames: ['driver', 'code'],
    registers: [registry],
  });
  const commands = counter(registry, 'gateway_commands_total', 'States of commands.', 'state');
  const clockIsKnown = new Gauge({
    name: 'gateway_clock_known',
    help: '1 when the clock of the machine has been set.',
    registers: [registry],
  });
  const jumps = counter(registry, 'gateway_clock_jumps_total', 'Times that the clock was set.');
  const off = counter(
    registry,
    'gateway_driver_clock_off_total',
    'Readings of devices whose clock is more than two minutes off.',
  );
  return {
    readingTaken: (driver, count) => taken.inc({ driver }, count),
    devicesHeard: () => undefined,
    readingRefused: (driver, code) => refused.inc({ driver, code }),
    clockKnown(isKnown) {
      clockIsKnown.set(isKnown ? 1 : 0);
      if (!isKnown) log.warn('Clock is not set: readings get their time later');
    },
    clockJumped(ms) {
      jumps.inc();
      log.warn({ ms }, 'Clock was set');
    },
    deviceClockOff: () => off.inc(),
    commandRefused: () => log.warn('Command not kept or not carried out: the disk is full'),
    commandsUnreadable: () => log.error('Commands cannot be read, they are set aside'),
    commandMoved(of) {
      commands.inc({ state: of.state });
      log.info(of, 'Command moved');
    },
  } satisfies Partial<AgentEvents>;
}

/** The agent ended the link itself: it stops, hands over, or takes up another certificate. */
export function isOwnEnd(reason: string): boolean {
  return reason.endsWith('the agent closed it');
}

function certificateEvents(registry: Registry, log: Logger) {
  const until = new Gauge({
    name: 'gateway_certificate_not_after_seconds',
    help: 'When the certificate of this gateway ends, Unix time.',
    registers: [registry],
  });
  const enrolments = counter(
    registry,
    'gateway_certificate_enrolments_total',
    'Enrolments and renewals, by what became of them.',
    'outcome',
  );
  return {
    certificateSeen: ({ untilMs }) => until.set(untilMs / 1000),
    certificateIssued({ kind, certificate }) {
      until.set(certificate.untilMs / 1000);
      enrolments.inc({ outcome: kind });
      log.info({ kind, until: new Date(certificate.untilMs).toISOString() }, 'Certificate issued');
    },
    enrolmentFailed(of) {
      enrolments.inc({ outcome: 'failed' });
      log.warn(of, 'Certificate not issued');
    },
  } satisfies Partial<AgentEvents>;
}

function counter(registry: Registry, name: string, help: string, ...labelNames: string[]) {
  return new Counter({ name, help, labelNames, registers: [registry] });
}

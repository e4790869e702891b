import type { CertificateInfo } from '../enrolment/certificate-files.ts';
import { type AgentEvents, isOwnEnd } from '../events.ts';
import { RateWindow } from '../model/rate-window.ts';
import { nextPeriodMs } from '../model/status-report.ts';

export interface HeardDevice {
  readings: number;
  lastMs: number;
  everyMs: number | undefined;
}

export interface NotedError {
  readonly what: string;
  atMs: number;
  count: number;
}

const lanes = ['live', 'backlog'];
const laneWindow = { windowMs: 10_000, buckets: 10 };
const growthWindow = { windowMs: 600_000, buckets: 60 };
/** Devices of a building, at most. */
const devicesMax = 5000;
const errorsMax = 20;

/** What a person at the gateway wants to know, gathered from the agent's events; bounded. */
export class StatusBoard {
  readonly startedMs: number;
  readonly lanes: ReadonlyMap<string, RateWindow>;
  /** Bytes that the store took in. */
  readonly growth = new RateWindow(growthWindow);
  readonly devices = new Map<string, HeardDevice>();
  /** Oldest first. */
  readonly errors: NotedError[] = [];
  linkSinceMs: number | undefined;
  linkReason: string | undefined;
  certificate: CertificateInfo | undefined;
  enrolmentFailure: { readonly atMs: number; readonly reason: string } | undefined;
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
    this.startedMs = now();
    this.lanes = new Map(lanes.map((lane) => [lane, new RateWindow(laneWindow)]));
  }

  /** The same events, seen by the board too. */
  watching(events: AgentEvents): AgentEvents {
    return { ...events, ...this.#uplinkEvents(events), ...this.#otherEvents(events) };
  }

  #uplinkEvents(events: AgentEvents) {
    return {
      uplinkConnected: () => {
        events.uplinkConnected();
        this.linkSinceMs = this.#now();
        this.linkReason = undefined;
      },
      uplinkLost: (reason) => {
        events.uplinkLost(reason);
        this.linkSinceMs = this.#now();
        this.linkReason = reason;
        if (!isOwnEnd(reason)) this.#note(`Link lost: ${reason}`);
      },
      uplinkFailed: (reason) => {
        events.uplinkFailed(reason);
        this.linkReason = reason;
        this.#note(`Link does not come: ${reason}`);
      },
      messageSent: (of) => {
        events.messageSent(of);
        this.lanes.get(of.lane)?.add(of.readings, this.#now());
      },
      messageRefused: (of) => {
        events.messageRefused(of);
        this.#note(`The cell refused ${of.lane} of ${of.device}: 0x${of.reasonCode.toString(16)}`);
      },
      certificateSeen: (certificate) => {
        events.certificateSeen(certificate);
        this.certificate = certificate;
      },
      certificateIssued: (enrolled) => {
        events.certificateIssued(enrolled);
        this.certificate = enrolled.certificate;
        this.enrolmentFailure = undefined;
      },
      enrolmentFailed: (of) => {
        events.enrolmentFailed(of);
        this.enrolmentFailure = { atMs: this.#now(), reason: of.reason };
        this.#note(of.reason);
      },
    } satisfies Partial<AgentEvents>;
  }

  #otherEvents(events: AgentEvents) {
    return {
      batchSynced: (of) => {
        events.batchSynced(of);
        this.growth.add(of.bytes, this.#now());
      },
      appendRefused: (code) => {
        events.appendRefused(code);
        this.#note(`Store refuses devices: ${code}`);
      },
      recordsUnreadable: (count) => {
        events.recordsUnreadable(count);
        this.#note('Records of the store cannot be read');
      },
      recordsDropped: (count, reason) => {
        events.recordsDropped(count, reason);
        this.#note(`Records dropped: ${reason}`);
      },
      diskFull: () => {
        events.diskFull();
        this.#note('Disk is full');
      },
      readingRefused: (driver, code) => {
        events.readingRefused(driver, code);
        this.#note(`Driver ${driver} refused a message: ${code}`);
      },
      devicesHeard: (of) => {
        events.devicesHeard(of);
        for (const { device, readings } of of) this.#heard(device, readings);
      },
    } satisfies Partial<AgentEvents>;
  }

  #heard(name: string, readings: number): void {
    const nowMs = this.#now();
    const device = this.devices.get(name);
    if (!device) {
      if (this.devices.size < devicesMax)
        this.devices.set(name, { readings, lastMs: nowMs, everyMs: undefined });
      return;
    }
    device.readings += readings;
    device.everyMs = nextPeriodMs(device.everyMs, Math.max(0, nowMs - device.lastMs));
    device.lastMs = nowMs;
  }

  /** The same again is counted, and goes to the end. */
  #note(what: string): void {
    const at = this.errors.findIndex((one) => one.what === what);
    const [known] = at < 0 ? [] : this.errors.splice(at, 1);
    this.errors.push({ what, atMs: this.#now(), count: (known?.count ?? 0) + 1 });
    if (this.errors.length > errorsMax) this.errors.shift();
  }
}

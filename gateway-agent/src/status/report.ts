import { statfs } from 'node:fs/promises';
import type { AgentConfig } from '../config.ts';
import type { Driver } from '../drivers/driver.ts';
import { countOf } from '../model/ranges.ts';
import { certificateState } from '../model/renewal.ts';
import { isSilent, type StatusReport } from '../model/status-report.ts';
import type { Store } from '../store/store.ts';
import type { Uplink } from '../uplink/uplink.ts';
import { version } from '../version.ts';
import type { StatusBoard } from './board.ts';

export interface ReportParts {
  readonly config: AgentConfig;
  readonly store: Store;
  /** Stores that an agent before this one left, which only lose readings. */
  readonly older: () => readonly Store[];
  readonly uplink: Uplink;
  readonly drivers: readonly Driver[];
  readonly board: StatusBoard;
  readonly now: () => number;
}

const dayMs = 86_400_000;

export async function statusReport(parts: ReportParts): Promise<StatusReport> {
  const { config, store, uplink, drivers, board, now } = parts;
  const nowMs = now();
  const account = store.account(nowMs);
  return {
    version,
    building: config.building,
    gateway: config.uplink.gateway,
    at: timeOf(nowMs),
    startedAt: timeOf(board.startedMs),
    link: {
      connected: uplink.connected,
      url: config.uplink.url.replace(/\/\/[^/@]*@/, '//'),
      ...(board.linkSinceMs !== undefined && { since: timeOf(board.linkSinceMs) }),
      ...(board.linkReason !== undefined && { reason: board.linkReason }),
    },
    lanes: [...board.lanes].map(([lane, window]) => ({
      lane,
      readings: window.total,
      perSecond: rounded(window.perSecond(nowMs)),
    })),
    store: await storePart(parts, nowMs),
    devices: devicesPart(board, account.numbers, nowMs).map((device) => {
      const { own, passed } = account.numbers[device.device] ?? {};
      return {
        ...device,
        ...(own !== undefined && { own: { boot: account.boot, next: own } }),
        ...(passed && { passed }),
      };
    }),
    dropped: [...account.dropped],
    drivers: drivers.map(({ name, port }) => ({ name, ...(port !== undefined && { port }) })),
    ...certificatePart(board, nowMs),
    errors: board.errors
      .toReversed()
      .map(({ atMs, what, count }) => ({ at: timeOf(atMs), what, count })),
  };
}

async function storePart(
  { config, store, older, board }: ReportParts,
  nowMs: number,
): Promise<StatusReport['store']> {
  const { boot, next, unsent } = store;
  const all = [...older(), store];
  const bytes = all.reduce((sum, one) => sum + one.bytes, 0);
  const oldestUnsentAtMs = all
    .flatMap((one) => one.oldestUnsentAtMs ?? [])
    .reduce<number | undefined>((least, ms) => Math.min(least ?? ms, ms), undefined);
  const { bytesMax } = config.store;
  const disk = await statfs(config.dataDirectory).catch(() => undefined);
  const diskFreeBytes = disk && disk.bavail * disk.bsize;
  const room = Math.max(
    0,
    Math.min(bytesMax - bytes, (diskFreeBytes ?? Infinity) - config.store.freeBytesMin),
  );
  const bytesPerDay = (board.growth.perSecond(nowMs) * dayMs) / 1000;
  return {
    boot,
    next,
    bytes,
    bytesMax,
    unsent: unsent.map(({ from, to }) => ({ from, to })),
    unsentRecords: all.reduce((sum, one) => sum + countOf(one.unsent), 0),
    ...(oldestUnsentAtMs !== undefined && { oldestUnsentAt: timeOf(oldestUnsentAtMs) }),
    ...(diskFreeBytes !== undefined && { diskFreeBytes }),
    ...(bytesPerDay > 0 && { daysLeft: rounded(room / bytesPerDay) }),
  };
}

type Device = Pick<StatusReport['devices'][number], 'device' | 'state' | 'lastAt' | 'readings'>;

function devicesPart(board: StatusBoard, numbers: object, nowMs: number): Device[] {
  const heard = [...board.devices].map(([device, { readings, lastMs, everyMs }]): Device => ({
    device,
    state: isSilent({ lastMs, everyMs }, nowMs) ? 'silent' : 'seen',
    lastAt: timeOf(lastMs),
    readings,
  }));
  const unheard = Object.keys(numbers)
    .filter((device) => !board.devices.has(device))
    .map((device): Device => ({ device, state: 'unheard', readings: 0 }));
  return [...heard, ...unheard].toSorted((left, right) => (left.device < right.device ? -1 : 1));
}

function certificatePart(
  { certificate, enrolmentFailure }: StatusBoard,
  nowMs: number,
): Pick<StatusReport, 'certificate' | 'enrolment'> {
  return {
    ...(certificate && {
      certificate: {
        until: timeOf(certificate.untilMs),
        daysLeft: rounded((certificate.untilMs - nowMs) / dayMs),
        state: certificateState(certificate, nowMs),
        issuer: certificate.issuer,
      },
    }),
    ...(enrolmentFailure && {
      enrolment: { at: timeOf(enrolmentFailure.atMs), reason: enrolmentFailure.reason },
    }),
  };
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}

import { bytesText, countText, durationText } from './amount-text.ts';
import type { StatusReport } from './status-report.ts';

export type Tone = 'good' | 'warn' | 'bad' | 'plain';

/** One line of what a person sees, with what it means for them. */
export interface StatusLine {
  readonly label: string;
  readonly text: string;
  readonly tone: Tone;
}

export interface StatusSummary {
  readonly title: string;
  readonly program: string;
  readonly lines: readonly StatusLine[];
  readonly devices: readonly StatusLine[];
  readonly errors: readonly StatusLine[];
}

/** What the terminal and the status page say of a report: the same words for both. */
export function statusSummary(report: StatusReport): StatusSummary {
  const nowMs = Date.parse(report.at);
  const ago = (time: string) => durationText(nowMs - Date.parse(time));
  return {
    title: `Gateway ${report.gateway} of ${report.building}`,
    program: `domicile-gateway ${report.version}, up ${ago(report.startedAt)}`,
    lines: [
      linkLine(report, ago),
      ...report.lanes.map(laneLine),
      backlogLine(report, ago),
      storeLine(report),
      ...certificateLines(report, ago),
      ...droppedLines(report),
      devicesLine(report),
      {
        label: 'Drivers',
        text:
          report.drivers
            .map(({ name, port }) => (port === undefined ? name : `${name} on port ${port}`))
            .join(', ') || 'none',
        tone: 'plain',
      },
    ],
    devices: devicesOf(report, ago),
    errors: report.errors.map(({ at, what, count }) => ({
      label: `${ago(at)} ago`,
      text: count > 1 ? `${what} (${countText(count)} times)` : what,
      tone: 'plain',
    })),
  };
}

type Ago = (time: string) => string;

function linkLine({ link, startedAt }: StatusReport, ago: Ago): StatusLine {
  const since = ago(link.since ?? startedAt);
  if (link.connected)
    return { label: 'Link', text: `connected for ${since} to ${link.url}`, tone: 'good' };
  const why = link.reason === undefined ? '' : `: ${link.reason}`;
  return { label: 'Link', text: `down for ${since}, ${link.url}${why}`, tone: 'bad' };
}

function laneLine({ lane, readings, perSecond }: StatusReport['lanes'][number]): StatusLine {
  const name = lane === 'live' ? 'Live lane' : 'Backlog lane';
  return {
    label: name,
    text: `${perSecond} readings/s, ${countText(readings)} since the start`,
    tone: 'plain',
  };
}

function backlogLine({ store }: StatusReport, ago: Ago): StatusLine {
  const { unsentRecords, oldestUnsentAt } = store;
  if (unsentRecords === 0) return { label: 'Waiting', text: 'nothing', tone: 'good' };
  const age = oldestUnsentAt === undefined ? '' : `, the oldest for ${ago(oldestUnsentAt)}`;
  return { label: 'Waiting', text: `${countText(unsentRecords)} readings${age}`, tone: 'plain' };
}

const fullShareMax = 0.9;
const daysLeftMin = 2;

function storeLine({ store }: StatusReport): StatusLine {
  const { bytes, bytesMax, diskFreeBytes, daysLeft } = store;
  const disk = diskFreeBytes === undefined ? '' : `, ${bytesText(diskFreeBytes)} free on disk`;
  const left =
    daysLeft === undefined ? '' : `, room for ${daysText(daysLeft)} without the cell at this rate`;
  const isTight =
    bytes > fullShareMax * bytesMax || (daysLeft !== undefined && daysLeft < daysLeftMin);
  return {
    label: 'Store',
    text: `${bytesText(bytes)} of ${bytesText(bytesMax)}${disk}${left}`,
    tone: isTight ? 'warn' : 'good',
  };
}

function daysText(days: number): string {
  if (days > 3650) return 'more than ten years';
  return days < daysLeftMin ? durationText(days * 86_400_000) : `${Math.floor(days)} days`;
}

const certificateTones = { good: 'good', due: 'plain', late: 'warn', ended: 'bad' } as const;
const certificateWords = {
  good: 'good',
  due: 'to be renewed',
  late: 'ends soon and is not renewed',
  ended: 'has ended',
} as const;

function certificateLines({ certificate, enrolment }: StatusReport, ago: Ago): StatusLine[] {
  const lines: StatusLine[] = [];
  if (certificate) {
    const { state, until, daysLeft } = certificate;
    const when = state === 'ended' ? `${ago(until)} ago` : `${daysText(daysLeft)} left`;
    const text = `${certificateWords[state]}, ${when} (${until.slice(0, 16).replace('T', ' ')} UTC)`;
    lines.push({ label: 'Certificate', text, tone: certificateTones[state] });
  }
  if (enrolment) lines.push({ label: 'Enrolment', text: enrolment.reason, tone: 'bad' });
  return lines;
}

function droppedLines({ dropped }: StatusReport): StatusLine[] {
  const count = dropped.reduce((sum, { from, to }) => sum + to - from + 1, 0);
  if (count === 0) return [];
  const reasons = [...new Set(dropped.map(({ reason }) => reason))].join(', ');
  return [{ label: 'Dropped', text: `${countText(count)} readings: ${reasons}`, tone: 'warn' }];
}

function devicesLine({ devices }: StatusReport): StatusLine {
  const count = (state: string) => devices.filter((one) => one.state === state).length;
  const [seen, silent, unheard] = ['seen', 'silent', 'unheard'].map(count);
  const parts = [`${seen} seen`];
  if (silent) parts.push(`${silent} silent`);
  if (unheard) parts.push(`${unheard} not heard since the start`);
  return {
    label: 'Devices',
    text: parts.join(', '),
    tone: silent ? 'warn' : seen ? 'good' : 'plain',
  };
}

const stateOrder = { silent: 0, unheard: 1, seen: 2 } as const;

/** Those that want attention first. */
function devicesOf({ devices }: StatusReport, ago: Ago): StatusLine[] {
  return devices
    .toSorted((left, right) => stateOrder[left.state] - stateOrder[right.state])
    .map(({ device, state, lastAt, readings }) => {
      const last = lastAt === undefined ? 'not heard since the start' : `heard ${ago(lastAt)} ago`;
      const many = lastAt === undefined ? '' : `, ${countText(readings)} readings`;
      return {
        label: device,
        text: `${state === 'silent' ? 'silent: ' : ''}${last}${many}`,
        tone: state === 'silent' ? 'warn' : 'plain',
      };
    });
}

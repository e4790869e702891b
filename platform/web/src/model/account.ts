import type { Account, AccountRow, AccountTotals } from './answers.ts';
import { counted, countText } from './figures.ts';

/** The loss account in plain words. Numbers are readings: what one device measured at one instant. */

export interface AccountWords {
  readonly verdict: 'complete' | 'incomplete' | 'nothing';
  readonly headline: string;
  readonly notes: readonly string[];
}

export interface MissingNumbers {
  readonly device: string;
  readonly boot: string | null;
  readonly readings: number;
  /** `402–403 and 981` */
  readonly numbers: string;
}

export function accountWords({ totals, rows }: Account): AccountWords {
  const open = rows.some(({ complete }) => !complete);
  return { verdict: verdictOf(totals), headline: headlineOf(totals), notes: notesOf(totals, open) };
}

function verdictOf({ expected, missing }: AccountTotals): AccountWords['verdict'] {
  if (expected === 0) return 'nothing';
  return missing === 0 ? 'complete' : 'incomplete';
}

function headlineOf({ expected, missing }: AccountTotals): string {
  if (expected === 0) return 'No numbered reading was expected in this time.';
  if (missing === 0)
    return expected === 1
      ? 'The one reading expected arrived.'
      : `All ${countText(expected)} readings expected arrived.`;
  if (missing >= expected) return `None of the ${countText(expected)} readings expected arrived.`;
  return `Of ${counted(expected, 'reading')} expected, all but ${countText(missing)} arrived.`;
}

function notesOf(totals: AccountTotals, open: boolean): string[] {
  const { duplicates, quarantined, unnumbered, unreadable, landed, expired } = totals;
  const notes: string[] = [];
  if (quarantined > 0)
    notes.push(
      `${counted(quarantined, 'reading')} could not be used and ${isAre(quarantined)} set aside with the reason.`,
    );
  if (duplicates > 0)
    notes.push(`${counted(duplicates, 'reading')} came more than once and counted once.`);
  if (unnumbered > 0)
    notes.push(
      `${counted(unnumbered, 'reading')} carried no number, so nobody can tell whether one is missing between them.`,
    );
  if (unreadable > 0)
    notes.push(
      `${counted(unreadable, 'message')} could not be read at all and ${isAre(unreadable)} set aside.`,
    );
  notes.push(...archiveWords(landed, expired ?? 0));
  if (open)
    notes.push('The newest readings are still being counted: gateways report once a minute.');
  return notes;
}

function archiveWords(landed: number | null | undefined, expired: number): string[] {
  const gone = `${counted(expired, 'reading')} ${isAre(expired)} in the archive no more: kept for as long as was agreed.`;
  if (landed === null || landed === undefined) return expired > 0 ? [gone] : [];
  if (landed === 0)
    return [expired > 0 ? gone : 'None is in the archive yet; they follow in minutes.'];
  const there = `${counted(landed, 'reading')} ${isAre(landed)} in the archive; the newest follow in minutes.`;
  return expired > 0 ? [there, gone] : [there];
}

function isAre(count: number): string {
  return count === 1 ? 'is' : 'are';
}

/** Which numbers are missing, device by device, the worst first. */
export function missingNumbers(rows: readonly AccountRow[]): MissingNumbers[] {
  return rows
    .filter(({ missing }) => missing.length > 0)
    .map(({ device, boot, missing }) => ({
      device,
      boot,
      readings: missing.reduce((sum, [first, last]) => sum + last - first + 1, 0),
      numbers: listed(missing.map(([first, last]) => rangeText(first, last))),
    }))
    .toSorted((a, b) => b.readings - a.readings || a.device.localeCompare(b.device));
}

function rangeText(first: number, last: number): string {
  return first === last ? countText(first) : `${countText(first)}–${countText(last)}`;
}

function listed(parts: readonly string[]): string {
  const rest = parts.slice(0, -1);
  const last = parts.at(-1) ?? '';
  return rest.length === 0 ? last : `${rest.join(', ')} and ${last}`;
}

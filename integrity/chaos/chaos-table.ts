import { type FaultKind, faultKinds } from './fault-plan.ts';
import { mustBeZero } from './judge.ts';
import type { ChaosReport } from './run-chaos.ts';

const meanings: Readonly<Record<keyof ChaosReport['verdict'], string>> = {
  acked: 'readings acked to devices',
  ackedMissing: 'of them not in the landing zone',
  landedTwice: 'readings landed more than once',
  ordersBroken: 'readings out of their device’s order within a lane',
  commandsAccepted: 'commands accepted',
  commandsApplied: 'of them applied',
  commandsUnsettled: 'commands without an end',
  appliedTwice: 'commands that reached a device twice',
  appliedUnheard: 'commands said applied that no device heard',
  deliveredUnheard: 'commands said delivered that no gateway holds',
  accountExpected: 'readings that the account expects',
  accountMissing: 'of them missing, by the account',
  accountOff: 'readings by which account and independent count differ',
};

/** The result of a run as lines of a table. */
export function chaosTable({ seed, seconds, faults, verdict }: ChaosReport): readonly string[] {
  const counted = (kind: FaultKind): number => faults.filter((fault) => fault.kind === kind).length;
  const zeros: readonly string[] = mustBeZero;
  const rows = Object.entries(meanings).map(([name, meaning]) => {
    const value = Object.entries(verdict).find(([key]) => key === name)?.[1] ?? Number.NaN;
    const mark = !zeros.includes(name) ? '' : value === 0 ? 'kept' : 'BROKEN';
    return `  ${meaning.padEnd(58)}${`${value}`.padStart(10)}  ${mark}`;
  });
  return [
    '',
    `  seed ${seed}, ${seconds} s, ${faults.length} faults: ${faultKinds.map((kind) => `${kind} ${counted(kind)}`).join(', ')}`,
    '',
    ...rows,
    '',
  ];
}

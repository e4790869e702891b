import { setTimeout as sleep } from 'node:timers/promises';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { buildings, ChaosWorld, thermostats } from './chaos-world.ts';
import { Commander } from './commander.ts';
import { type Fault, planFaults } from './fault-plan.ts';
import { type LinksInUse, suffer, targetsIn } from './faults.ts';
import { accountOf, judge, landedOf, missingOf, unsettled, type Verdict } from './judge.ts';

export interface ChaosOptions {
  readonly seed: number;
  readonly forMs: number;
  /** Between the beginnings of two faults, at least and at most. */
  readonly everyMs: readonly [number, number];
  readonly tell: (line: string) => void;
}

export interface ChaosReport {
  readonly seed: number;
  readonly seconds: number;
  readonly faults: readonly Fault[];
  readonly verdict: Verdict;
}

/** How long everything may take to come to rest after the last fault. */
const landTimeoutMs = 300_000;
const commandsTimeoutMs = 180_000;
const accountTimeoutMs = 120_000;
const askEveryMs = 2_000;

/** Breaks things at random, then compares what was promised with what independent readers find. */
export async function runChaos({ seed, forMs, everyMs, tell }: ChaosOptions): Promise<ChaosReport> {
  tell(`seed ${seed}: starting a cell with two brokers, two buildings and their devices`);
  await using world = await ChaosWorld.start(`chaos-${seed}-${Date.now()}`);
  const { api, tokens } = await world.demo.cell('de');
  const commander = new Commander({
    api,
    token: tokens.client,
    seed,
    buildings,
    devices: thermostats,
  });
  await waitFor('readings to be acked', () =>
    world.buildings.every((building) => world.acked(building).length > 100),
  );
  const faults = planFaults({ seed, forMs, everyMs, targets: targetsIn(world) });
  const beganAt = Date.now();
  const sufferings: Promise<void>[] = [];
  const links: LinksInUse = new Map();
  for (const fault of faults) {
    await sleep(Math.max(0, beganAt + fault.atMs - Date.now()));
    sufferings.push(sufferAloud(world, fault, { beganAt, links, tell }));
  }
  await sleep(Math.max(0, beganAt + forMs - Date.now()));
  await Promise.all(sufferings);
  await commander.stop();
  tell('the faults are over: waiting for everything to come to rest');
  await comeToRest(world, commander, tell);
  const verdict = await judge(world, commander);
  return { seed, seconds: Math.round((Date.now() - beganAt) / 1000), faults, verdict };
}

async function sufferAloud(
  world: ChaosWorld,
  fault: Fault,
  {
    beganAt,
    links,
    tell,
  }: {
    readonly beganAt: number;
    readonly links: LinksInUse;
    readonly tell: (line: string) => void;
  },
): Promise<void> {
  const at = ((Date.now() - beganAt) / 1000).toFixed(0).padStart(5);
  const acked = world.buildings.reduce((sum, one) => sum + world.acked(one).length, 0);
  tell(`${at} s  ${fault.kind} ${fault.target} (${acked} acked so far)`);
  const outcome = await suffer(world, fault, links);
  if (outcome !== '') tell(`         ${fault.kind} ${fault.target}: ${outcome}`);
}

/** What is not at rest in time is judged as it is. */
async function comeToRest(
  world: ChaosWorld,
  commander: Commander,
  tell: (line: string) => void,
): Promise<void> {
  await world.stopDevices();
  await untilQuietly('everything to land', async () => (await missingOf(world)) === 0, {
    timeoutMs: landTimeoutMs,
    tell,
  });
  await untilQuietly('the commands', async () => (await unsettled(commander)).length === 0, {
    timeoutMs: commandsTimeoutMs,
    tell,
  });
  const isAccounted = async (): Promise<boolean> => {
    for (const building of world.buildings) {
      const [account, landed] = [await accountOf(world, building), await landedOf(world, building)];
      if (account.received !== landed.readings || account.landed !== landed.readings) return false;
      if (account.missing !== 0) return false;
    }
    return true;
  };
  await untilQuietly('the account', isAccounted, { timeoutMs: accountTimeoutMs, tell });
}

async function untilQuietly(
  what: string,
  holds: () => Promise<boolean>,
  { timeoutMs, tell }: { readonly timeoutMs: number; readonly tell: (line: string) => void },
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  let fault = '';
  while (Date.now() < deadline) {
    const held = await holds().catch((error: unknown) => {
      fault = ` (${String(error)})`;
      return false;
    });
    if (held) return;
    await sleep(askEveryMs);
  }
  tell(`not at rest after ${timeoutMs} ms: ${what}${fault}`);
}

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { topicOf } from '@domicile/core/streams.ts';
import { readTopic } from '@domicile/devkit/kafka-reading.ts';
import type { InputRecord } from '@domicile/kafka/records.ts';
import { get } from '../support/api.ts';
import { queryLanding } from '../support/independent-lake.ts';
import type { ChaosBuilding, ChaosWorld } from './chaos-world.ts';
import { type Commander, type CommandView, endStates, type SentCommand } from './commander.ts';

/** What must be 0, by name; the rest tells how much it was. */
export interface Verdict {
  readonly acked: number;
  readonly ackedMissing: number;
  readonly landedTwice: number;
  readonly ordersBroken: number;
  readonly commandsAccepted: number;
  readonly commandsApplied: number;
  readonly commandsUnsettled: number;
  readonly appliedTwice: number;
  readonly appliedUnheard: number;
  readonly deliveredUnheard: number;
  readonly accountExpected: number;
  readonly accountMissing: number;
  /** Of the account's received and landed from the independent count. */
  readonly accountOff: number;
}

export const mustBeZero = [
  'ackedMissing',
  'landedTwice',
  'ordersBroken',
  'commandsUnsettled',
  'appliedTwice',
  'appliedUnheard',
  'deliveredUnheard',
  'accountMissing',
  'accountOff',
] as const satisfies readonly (keyof Verdict)[];

export interface Landed {
  /** How often each `device seq` of the run is in a published file, as a program finds that shares no code with the writer. */
  readonly times: ReadonlyMap<string, number>;
  /** Readings of all numberings, the gateway's own too. */
  readonly readings: number;
}

export async function landedOf(world: ChaosWorld, { id, order }: ChaosBuilding): Promise<Landed> {
  const rows = await queryLanding(
    world.cell.plan.lakeDir,
    `with readings as (select device, boot, seq, kafka_partition, kafka_offset from {files} where building = '${id}' group by all)
     select device || ' ' || seq as reading, boot, count(*)::int as times from readings group by all`,
  );
  const ours = rows.filter(({ boot }) => boot === order.boot);
  return {
    times: new Map(ours.map(({ reading, times }) => [String(reading), Number(times)])),
    readings: rows.length,
  };
}

/** How many acked readings are not landed yet. */
export async function missingOf(world: ChaosWorld): Promise<number> {
  let missing = 0;
  for (const building of world.buildings) {
    const { times } = await landedOf(world, building);
    missing += world.acked(building).filter((reading) => !times.has(reading)).length;
  }
  return missing;
}

export async function judge(world: ChaosWorld, commander: Commander): Promise<Verdict> {
  const sums = { acked: 0, ackedMissing: 0, landedTwice: 0, ...noAccount };
  for (const building of world.buildings) {
    const landed = await landedOf(world, building);
    const acked = new Set(world.acked(building));
    sums.acked += acked.size;
    sums.ackedMissing += [...acked].filter((reading) => !landed.times.has(reading)).length;
    sums.landedTwice += [...landed.times.values()].filter((times) => times !== 1).length;
    const account = await accountOf(world, building);
    sums.accountExpected += account.expected;
    sums.accountMissing += account.missing;
    sums.accountOff +=
      Math.abs(account.received - landed.readings) + Math.abs(account.landed - landed.readings);
  }
  return {
    ...sums,
    ordersBroken: await ordersBroken(world),
    ...(await judgeCommands(world, commander)),
  };
}

const noAccount = { accountExpected: 0, accountMissing: 0, accountOff: 0 };

interface Totals {
  readonly expected: number;
  readonly received: number;
  readonly missing: number;
  readonly landed: number;
}

export async function accountOf(world: ChaosWorld, { id }: ChaosBuilding): Promise<Totals> {
  const { api, tokens } = await world.demo.cell('de');
  const [from, to] = [-7_200_000, 3_600_000].map((ms) => new Date(Date.now() + ms).toISOString());
  const path = `/v1/buildings/${id}/account?from=${from}&to=${to}&limit=1`;
  const { totals } = await get<{ totals: Totals }>(api, path, tokens.client);
  return totals;
}

interface Numbered {
  readonly device: string;
  readonly boot: string;
  readonly seq: number;
}

/** Within each lane, what a device said later must not have come first. A repeat stands where it came first. */
async function ordersBroken(world: ChaosWorld): Promise<number> {
  const client = world.cell.kafka.admin();
  const lanes = ['telemetry', 'backfill'] as const;
  const firsts = new Map<string, { lane: string; at: number; position: number }>();
  for (const lane of lanes) {
    const records = await readTopic(client, topicOf('DE', lane));
    const readings = records.flatMap((record, position) =>
      readingsIn(record).map(({ device, boot, seq }) => ({
        key: `${String(record.key)} ${device} ${boot} ${seq}`,
        at: record.timestampMs,
        position,
      })),
    );
    for (const { key, at, position } of readings) {
      if ((firsts.get(key)?.at ?? Infinity) > at) firsts.set(key, { lane, at, position });
    }
  }
  const highest = new Map<string, number>();
  let broken = 0;
  const inOrder = [...firsts].toSorted(([, a], [, b]) => a.position - b.position);
  for (const [key, { lane }] of inOrder) {
    const cut = key.lastIndexOf(' ');
    const [line, seq] = [`${lane} ${key.slice(0, cut)}`, Number(key.slice(cut + 1))];
    if (seq < (highest.get(line) ?? -1)) broken += 1;
    else highest.set(line, seq);
  }
  return broken;
}

function readingsIn({ value, headers }: InputRecord): readonly Numbered[] {
  if (!/^(telemetry|backfill)\//.test(headers.get('schema') ?? '')) return [];
  const payload: unknown = JSON.parse(String(value));
  const readings: readonly Omit<Numbered, 'device'>[] = Array.isArray(payload)
    ? payload
    : [payload];
  return readings.map(({ boot, seq }) => ({ device: headers.get('device') ?? '', boot, seq }));
}

/** The commands that may still change their state. */
export async function unsettled(commander: Commander): Promise<readonly SentCommand[]> {
  const open: SentCommand[] = [];
  for (const command of commander.sent) {
    const view = await commander.view(command);
    if (!endStates.has(view.state)) open.push(command);
  }
  return open;
}

function said(view: CommandView, state: string): boolean {
  return view.history.some((step) => step.state === state);
}

async function judgeCommands(world: ChaosWorld, commander: Commander) {
  const arrived = new Map<string, number>();
  for (const building of world.buildings)
    for (const line of world.obeyed(building)) {
      const [id = ''] = line.split(' ');
      arrived.set(id, (arrived.get(id) ?? 0) + 1);
    }
  const held = await heldByGateways(world);
  const views: CommandView[] = [];
  for (const command of commander.sent) views.push(await commander.view(command));
  const count = (fits: (view: CommandView) => boolean): number => views.filter(fits).length;
  return {
    commandsAccepted: views.length,
    commandsApplied: count((view) => said(view, 'applied')),
    commandsUnsettled: count((view) => !endStates.has(view.state)),
    appliedTwice: [...arrived.values()].filter((times) => times > 1).length,
    appliedUnheard: count((view) => said(view, 'applied') && !arrived.has(view.id)),
    deliveredUnheard: count((view) => said(view, 'delivered') && !held.includes(view.id)),
  };
}

/** What the gateways have on disk about commands. */
async function heldByGateways(world: ChaosWorld): Promise<string> {
  const texts: string[] = [];
  for (const { storeDir } of world.buildings) {
    const names = await readdir(storeDir, { recursive: true });
    for (const name of names.filter((one) => one.includes('commands')))
      texts.push(await readFile(join(storeDir, name), 'utf8').catch(() => ''));
  }
  return texts.join('\n');
}

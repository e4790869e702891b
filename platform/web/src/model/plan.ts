import type { BuildingPlan } from './answers.ts';
import { byImportance } from './figures.ts';
import type { View } from './route.ts';
import type { Level } from './window.ts';

/** What of a building can be asked for at each level, and which metrics it has. */
export interface Target {
  readonly id: string;
  readonly label: string;
  readonly metrics: readonly string[];
}

export function targetsOf(plan: BuildingPlan, level: Level): Target[] {
  return targets[level](plan);
}

const targets: Readonly<Record<Level, (plan: BuildingPlan) => Target[]>> = {
  building: (plan) => [
    {
      id: plan.id,
      label: 'Whole building',
      metrics: sorted(roomsOf(plan).flatMap(metricsOfRoom)),
    },
  ],
  floor: (plan) =>
    plan.floors.map(({ id, rooms }) => ({
      id,
      label: `Floor ${id}`,
      metrics: sorted(rooms.flatMap(metricsOfRoom)),
    })),
  room: (plan) =>
    roomsOf(plan).map((room) => ({
      id: room.id,
      label: `Room ${room.id}`,
      metrics: sorted(metricsOfRoom(room)),
    })),
  device: (plan) =>
    roomsOf(plan).flatMap(({ devices }) =>
      devices.map(({ id, metrics }) => ({
        id,
        label: id,
        metrics: sorted(metrics.map(({ name }) => name)),
      })),
    ),
};

type Room = BuildingPlan['floors'][number]['rooms'][number];

export function roomsOf(plan: BuildingPlan): readonly Room[] {
  return plan.floors.flatMap(({ rooms }) => rooms);
}

function metricsOfRoom({ devices }: Room): string[] {
  return devices.flatMap(({ metrics }) => metrics.map(({ name }) => name));
}

function sorted(metrics: readonly string[]): string[] {
  return [...new Set(metrics)].toSorted(byImportance);
}

export interface Choice {
  readonly level: Level;
  readonly target: Target;
  readonly metric: string;
}

/**
 * What a view means for this building: what the address does not say, or says wrongly, is the first there is. Undefined for
 * a building without devices.
 */
export function choiceOf(plan: BuildingPlan, view: View): Choice | undefined {
  const possible = targetsOf(plan, view.level).filter(({ metrics }) => metrics.length > 0);
  const target = possible.find(({ id }) => id === view.of) ?? possible[0];
  const metric = target?.metrics.find((name) => name === view.metric) ?? target?.metrics[0];
  if (target === undefined || metric === undefined) return undefined;
  return { level: view.level, target, metric };
}

/** Whether a row of a summary belongs to what is chosen. */
export function isOf(
  row: { readonly level: string; readonly id: string; readonly metric: string },
  { level, target, metric }: Choice,
): boolean {
  return row.level === level && row.id === target.id && row.metric === metric;
}

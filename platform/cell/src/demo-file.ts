import { join } from 'node:path';
import type { CountryCode } from '@domicile/core/countries.ts';
import { lowerCountry } from '@domicile/core/identities.ts';
import type { Cell } from './cell.ts';
import { type DemoUsers, type Role, roles } from './demo-users.ts';

/** `.domicile/demo.json`: what a script needs to try the demo. Paths are relative to the checkout. */
export interface DemoFile {
  readonly web: string;
  readonly cells: Readonly<Record<string, DemoCell>>;
  readonly logins: Readonly<Record<Role, { readonly user: string; readonly password: string }>>;
}

export interface DemoCell {
  readonly country: CountryCode;
  readonly values: string;
  readonly kafka: string;
  readonly mqtt: string;
  readonly mqtts: string;
  readonly ca: string;
  readonly api: string;
  readonly est: string;
  readonly lake: string;
  readonly credentials: string;
  readonly buildings: readonly string[];
  readonly mqttUsers: Readonly<Record<string, string>>;
  readonly admin: Readonly<Record<string, string>>;
  readonly tokens: Readonly<Record<Role, string>>;
  readonly logs: string;
}

export async function demoFile(of: {
  readonly web: string;
  readonly cells: readonly Cell[];
  readonly users: DemoUsers;
  readonly relativeTo: (path: string) => string;
}): Promise<DemoFile> {
  const { web, cells, users, relativeTo } = of;
  const described: Record<string, DemoCell> = {};
  for (const cell of cells)
    described[lowerCountry(cell.country)] = await describe(cell, users, relativeTo);
  return {
    web,
    cells: described,
    logins: byRole((role) => users.login(role)),
  };
}

async function describe(
  cell: Cell,
  users: DemoUsers,
  relativeTo: (path: string) => string,
): Promise<DemoCell> {
  const { country, dir, plan, credentials } = cell;
  const buildings = cell.active.map(({ id }) => id);
  const mqttUsers: Record<string, string> = {};
  for (const building of buildings) mqttUsers[building] = await credentials.password(building);
  const now = Date.now();
  return {
    country,
    values: relativeTo(join(dir, 'values.yaml')),
    kafka: plan.kafkaBootstrap,
    mqtt: `mqtt://127.0.0.1:${plan.ports.mqtt}`,
    mqtts: `mqtts://127.0.0.1:${plan.ports.mqtts}`,
    ca: relativeTo(plan.tls.caFile),
    api: plan.cells.get(country) ?? '',
    est: `https://127.0.0.1:${plan.ports.est}`,
    lake: relativeTo(plan.lakeDir),
    credentials: relativeTo(join(dir, 'credentials')),
    buildings,
    mqttUsers,
    admin: cell.admin,
    tokens: byRole((role) => users.token(role, country, now)),
    logs: relativeTo(plan.logDir),
  };
}

function byRole<Value>(of: (role: Role) => Value): Record<Role, Value> {
  const [client, otherClient, analyst, sre] = roles;
  return {
    client: of(client),
    otherClient: of(otherClient),
    analyst: of(analyst),
    sre: of(sre),
  };
}

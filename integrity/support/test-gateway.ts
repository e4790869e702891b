import { join } from 'node:path';
import { gatewaySpec } from '@domicile/cell/gateway.ts';
import { Ports } from '@domicile/cell/ports.ts';
import type { CountryCode } from '@domicile/core/countries.ts';
import { must } from '@domicile/core/invariants.ts';
import type { TestDemo } from './test-demo.ts';

export interface TestGateway {
  /** Its name with the supervisor. */
  readonly name: string;
  /** Where devices publish. */
  readonly mqtt: string;
  readonly http: string;
  readonly admin: string;
}

/** A gateway agent for a building of the demo, supervised as the others, to which tests are the devices. */
export async function startGateway(
  { demo, dir }: TestDemo,
  { country, building }: { country: CountryCode; building: string },
): Promise<TestGateway> {
  const cell = must(demo.cells.get(country), 'the country is served');
  const ports = await Ports.open(join(dir, `ports-${building}.json`));
  const spec = await gatewaySpec({
    building,
    dir: join(cell.dir, 'gateways', building),
    logDir: join(cell.dir, 'logs'),
    mqtts: `mqtts://127.0.0.1:${cell.plan.ports.mqtts}`,
    credentials: cell.credentials.filesOf(building),
    ports,
    accountEveryMs: 1_000,
  });
  const allowed = { ...spec, env: { ...spec.env, GATEWAY_ALLOW_DROP: '1' } };
  await demo.startGateway(allowed);
  return {
    name: spec.name,
    mqtt: `mqtt://127.0.0.1:${await ports.of(`mqtt-${spec.name}`)}`,
    http: `http://127.0.0.1:${await ports.of(`http-${spec.name}`)}`,
    admin: `http://127.0.0.1:${spec.adminPort}`,
  };
}

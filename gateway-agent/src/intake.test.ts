import { parseBuildingId, parseDeviceId } from '@domicile/core/identities.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { createAgentEvents } from './events.ts';
import { Intake } from './intake.ts';

const never = () => {
  throw new Error('Nobody asks for it here');
};

test('devices that came before commands were carried get those that wait for them', () => {
  const log = createLog('gateway-agent', { write: () => undefined });
  const intake = new Intake({
    config: { building: parseBuildingId('de-test') },
    stores: {
      get main() {
        return never();
      },
      numbersOf: never,
    },
    uplink: { tellStatus: never },
    clock: { arrival: never },
    events: createAgentEvents(new Registry(), log),
    log,
    now: never,
    fail: never,
  });
  const host = intake.hostWith({ listen: never });
  const reached: string[] = [];
  const device = parseDeviceId('r101-thermostat');
  host.reachable(device);
  intake.carry({ reachable: (of) => void reached.push(of ?? 'all') });
  expect(reached).toEqual(['all']);
  host.reachable(device);
  expect(reached).toEqual(['all', device]);
});

import type { DeviceStatusRecord } from '@domicile/core/device-status.ts';

type Status = Pick<DeviceStatusRecord, 'state' | 'receivedAtMs'>;

/** What each device last said of its connection. A building's records come in order. */
export class StatusBook {
  readonly #buildings = new Map<string, Map<string, Status>>();

  take({ building, device, state, receivedAtMs }: DeviceStatusRecord): void {
    const devices = this.#buildings.get(building) ?? new Map<string, Status>();
    this.#buildings.set(building, devices);
    devices.set(device, { state, receivedAtMs });
  }

  stateOf(building: string, device: string): Status['state'] | undefined {
    return this.#buildings.get(building)?.get(device)?.state;
  }
}

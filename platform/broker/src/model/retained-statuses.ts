import type { DeviceStatusRecord } from '@domicile/core/device-status.ts';

export interface RetainedStatus {
  readonly topic: string;
  readonly payload: Buffer;
}

/** The last status of each device of one building, as subscribers get it. */
export class RetainedStatuses {
  readonly #devicesMax: number;
  readonly #statuses = new Map<string, RetainedStatus>();

  constructor(devicesMax: number) {
    this.#devicesMax = devicesMax;
  }

  /** Whether there is room for this device. */
  takes(device: string): boolean {
    return this.#statuses.has(device) || this.#statuses.size < this.#devicesMax;
  }

  note({ building, device, state, at }: DeviceStatusRecord): RetainedStatus | undefined {
    if (!this.takes(device)) return undefined;
    const status = {
      topic: `v1/${building}/${device}/status`,
      payload: Buffer.from(JSON.stringify({ state, at })),
    };
    this.#statuses.set(device, status);
    return status;
  }

  all(): IterableIterator<RetainedStatus> {
    return this.#statuses.values();
  }
}

import type { DeviceStatusRecord } from '@domicile/core/device-status.ts';

export interface RetainedStatus {
  readonly device: string;
  readonly topic: string;
  readonly payload: Buffer;
}

/** The last status of each device of one building, as subscribers get it. */
export class RetainedStatuses {
  readonly #devicesMax: number;
  /** As text: a small buffer keeps the whole pool that it was cut from. */
  readonly #statuses = new Map<string, Kept>();

  constructor(devicesMax: number) {
    this.#devicesMax = devicesMax;
  }

  /**
   * Where there is no room, the status that was said longest ago goes. `offset` is that of its record: what stands before the
   * status that is known changes nothing, however late it is read.
   */
  note({ building, device, state, at }: DeviceStatusRecord, offset: bigint): void {
    if ((this.#statuses.get(device)?.offset ?? -1n) > offset) return;
    this.#statuses.delete(device);
    const [oldest] = this.#statuses.keys();
    if (oldest !== undefined && this.#statuses.size >= this.#devicesMax)
      this.#statuses.delete(oldest);
    this.#statuses.set(device, {
      device,
      topic: `v1/${building}/${device}/status`,
      text: JSON.stringify({ state, at }),
      offset,
    });
  }

  get(device: string): RetainedStatus | undefined {
    const status = this.#statuses.get(device);
    return status && messageOf(status);
  }

  all(): IterableIterator<RetainedStatus> {
    return this.#statuses.values().map(messageOf);
  }
}

interface Kept {
  readonly device: string;
  readonly topic: string;
  readonly text: string;
  readonly offset: bigint;
}

function messageOf({ device, topic, text }: Kept): RetainedStatus {
  return { device, topic, payload: Buffer.from(text) };
}

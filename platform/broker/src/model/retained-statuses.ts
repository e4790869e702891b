import type { DeviceStatusRecord } from '@domicile/core/device-status.ts';

export interface RetainedStatus {
  readonly topic: string;
  readonly payload: Buffer;
}

/** The last status of each device of one building, as subscribers get it. */
export class RetainedStatuses {
  readonly #devicesMax: number;
  /** As text: a small buffer keeps the whole pool that it was cut from. */
  readonly #statuses = new Map<string, { readonly topic: string; readonly text: string }>();

  constructor(devicesMax: number) {
    this.#devicesMax = devicesMax;
  }

  /** Where there is no room, the status that was said longest ago goes. */
  note({ building, device, state, at }: DeviceStatusRecord): RetainedStatus {
    this.#statuses.delete(device);
    const [oldest] = this.#statuses.keys();
    if (oldest !== undefined && this.#statuses.size >= this.#devicesMax)
      this.#statuses.delete(oldest);
    const status = {
      topic: `v1/${building}/${device}/status`,
      text: JSON.stringify({ state, at }),
    };
    this.#statuses.set(device, status);
    return messageOf(status);
  }

  all(): IterableIterator<RetainedStatus> {
    return this.#statuses.values().map(messageOf);
  }
}

function messageOf({ topic, text }: { readonly topic: string; readonly text: string }) {
  return { topic, payload: Buffer.from(text) };
}

import type { Server } from 'node:net';
import type { BuildingId, DeviceId } from '@domicile/core/identities.ts';
import type { Logger } from 'pino';
import type { AgentEvents } from '../events.ts';
import type { DeviceNumbers } from '../model/numbering.ts';

/** What a device said, as it said it. */
export interface Taken {
  readonly device: DeviceId;
  /** docs/api/mqtt.md: one reading or an array of them. What cannot be read goes up for the cell to quarantine. */
  readonly payload: Uint8Array;
  /** Measured long ago: its time is believed, and it goes up beside live data. */
  readonly history?: boolean;
  /** Its time is believed although it is live. */
  readonly trustTime?: boolean;
}

/** What the agent gives to its drivers. */
export interface DriverHost {
  readonly building: BuildingId;
  readonly log: Logger;
  readonly events: AgentEvents;
  readonly now: () => number;
  /** How far a device's readings were numbered, as far as it is on disk. */
  numbersOf(device: DeviceId): DeviceNumbers;
  /**
   * Keeps readings, all or none, in the order of the calls. Resolves when they are on disk: only then may the
   * device be answered. Throws `STORE_FULL`, `RATE_LIMITED` or `UPSTREAM_UNAVAILABLE`, all retriable, and
   * `PAYLOAD_TOO_LARGE`, which is not.
   */
  take(taken: readonly Taken[]): Promise<void>;
  /** A device came or went; told to the cell, and again after an outage. Not kept on disk. */
  status(device: DeviceId, state: 'online' | 'offline'): void;
  /** A driver reaches the device (absent: some devices) now: commands that wait for it may come. */
  reachable(device?: DeviceId): void;
  /**
   * The socket that devices reach the driver `name` at: it listens already, and may be one that a process before this one
   * listened on. The driver takes its connections from the same turn on, and closes it when it is disposed.
   */
  listen(name: string, at: ListenAt): Promise<Server>;
  /** An end that nobody asked for; it takes the agent down. */
  readonly fail: (error: unknown) => void;
}

export interface ListenAt {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Every message is answered: a connection is left only after the answer. */
  readonly answersAll?: boolean;
}

export interface DeviceCommand {
  readonly id: string;
  readonly device: DeviceId;
  readonly set: Readonly<Record<string, number | boolean | string>>;
  readonly expiresAt?: string | undefined;
}

/** `applied` and `failed` are the device's word, `unknown` says that there is none. */
export type CommandOutcome =
  | { readonly state: 'applied' }
  | { readonly state: 'failed' | 'unknown'; readonly reason: string };

/**
 * One kind of device connection. `start` it, and it takes readings until it is disposed; disposing takes in
 * nothing more and answers what was begun.
 */
export interface Driver extends AsyncDisposable {
  readonly name: string;
  /** Where devices reach it, if they do. */
  readonly port?: number;
  /** Whether a command for this device goes through here. */
  drives(device: DeviceId): boolean;
  /** Carries a command to its device. Never throws for what a device does; bounded by the driver itself. */
  apply(command: DeviceCommand): Promise<CommandOutcome>;
}

export type StartDriver = (host: DriverHost) => Promise<Driver>;

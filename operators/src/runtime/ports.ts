import type { CountryCode } from '@domicile/core/countries.ts';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { EventRecorder } from './event-recorder.ts';
import type { Kube, KubeCache } from './kube.ts';
import type { Leadership } from './leadership.ts';
import type { StatusWriter } from './status-writer.ts';

/** What a reconciler is given. */
export interface OperatorPorts {
  /** Of this cluster: an operator has one. */
  readonly country: CountryCode;
  /** Where the operator runs and the credentials of administrators are. */
  readonly namespace: string;
  /** Where Buildings are; absent: anywhere. */
  readonly buildingNamespaces?: readonly string[] | undefined;
  /** The name by which the API server knows the operator. */
  readonly user: string;
  /** Reads are fresh; every write asks `leadership` first. */
  readonly kube: Kube;
  readonly cache: KubeCache;
  readonly leadership: Leadership;
  readonly events: EventRecorder;
  readonly status: StatusWriter;
  readonly log: Logger;
  readonly registry: Registry;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

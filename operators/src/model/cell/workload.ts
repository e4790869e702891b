import type { Access } from './access.ts';

export const components = [
  'broker',
  'tasks',
  'lander',
  'serving-builder',
  'commands',
  'serving-api',
  'raw-api',
  'issuer',
  'api-gateway',
  'web',
  /** A Job of the operator, not always there. */
  'eraser',
] as const;

export type Component = (typeof components)[number];

/** `/livez`, `/readyz` and `/metrics` of every process. */
export const adminPort = 9090;

/** Whom a process answers at a port. */
export interface Accepts {
  readonly port: number;
  readonly from: 'anyone' | readonly Component[];
}

/** Whom a process calls. All else is refused by the network. */
export type Reaches =
  | { readonly to: 'kafka' | 'store' }
  | { readonly to: 'component'; readonly component: Component; readonly port: number }
  | { readonly to: 'address'; readonly url: string };

export interface ServicePort {
  readonly name: string;
  readonly port: number;
}

/** One kind of process of a cell. */
export interface Workload {
  readonly name: Component;
  /** From the root of the image. */
  readonly entry: string;
  readonly kind: 'Deployment' | 'StatefulSet';
  readonly replicas: number;
  /** Present: an autoscaler holds it between `replicas` and this. */
  readonly replicasMax?: number | undefined;
  /** `surge`: the next is ready before one goes. `recreate`: never two side by side. */
  readonly rollout: 'surge' | 'recreate';
  readonly access: Access;
  readonly ports: readonly ServicePort[];
  readonly serviceType: 'ClusterIP' | 'LoadBalancer' | 'NodePort';
  readonly accepts: readonly Accepts[];
  /** The operator asks it at its admin port, where there is no way to readings. */
  readonly answersOperator: boolean;
  readonly reaches: readonly Reaches[];
  /** From being asked to end until it is killed. */
  readonly graceSeconds: number;
  /** It takes connections: new ones go elsewhere before it is asked to end. */
  readonly lingerSeconds: number;
  readonly cpu: string;
  readonly memory: string;
  /** Volumes of its own that outlive it, by name and size. */
  readonly keeps: readonly { readonly name: string; readonly size: string }[];
}

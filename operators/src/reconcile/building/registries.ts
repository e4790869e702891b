import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import type { OperatorPorts } from '../../runtime/ports.ts';
import { type CellInForce, kafkaClientOf } from './cell-of.ts';
import type { OpenRegistry, Registry } from './registry-desk.ts';

/** The registry of the cell in force: opened when it is first wanted, anew when it broke or the cell names another Kafka. */
export class Registries implements AsyncDisposable {
  readonly #ports: OperatorPorts;
  readonly #openRegistry: OpenRegistry;
  #opening: Promise<Registry> | undefined;
  #desk: Registry | undefined;
  #access = '';

  constructor(ports: OperatorPorts, openRegistry: OpenRegistry) {
    this.#ports = ports;
    this.#openRegistry = openRegistry;
  }

  /** The one that is open, if any: for looking, not for writing. */
  get current(): Registry | undefined {
    return this.#desk?.isBroken === false ? this.#desk : undefined;
  }

  async of(cell: CellInForce): Promise<Registry> {
    const access = cell.spec.kafka.bootstrap;
    if (this.#desk?.isBroken === false && access === this.#access) return this.#desk;
    this.#opening ??= this.#open(cell, access).finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opening?.catch(() => undefined);
    await this.#desk?.[Symbol.asyncDispose]();
  }

  async #open(cell: CellInForce, access: string): Promise<Registry> {
    const { kube, country, leadership } = this.#ports;
    const client: ClientOptions = await kafkaClientOf(kube, cell);
    await this.#desk?.[Symbol.asyncDispose]();
    this.#desk = undefined;
    const { assert: assertLeading } = leadership;
    this.#desk = await this.#openRegistry({ client, country, assertLeading });
    this.#access = access;
    return this.#desk;
  }
}

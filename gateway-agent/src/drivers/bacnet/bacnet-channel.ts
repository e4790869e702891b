import bacnet, {
  ApplicationTag,
  ConfirmedServiceChoice,
  type BACNetReadAccessSpecification,
  PropertyIdentifier,
} from '@bacnet-js/client';
import { z } from 'zod';
import type { BacnetObjectId } from '../../model/bacnet-objects.ts';
import { DeviceSilent } from '../poll-loop.ts';

// A CommonJS module whose default is one of its exports; some loaders take it out.
const Client = 'default' in bacnet ? bacnet.default : bacnet;

/** The device answered that it will not. */
export class BacnetRefusal extends Error {
  override readonly name = 'BacnetRefusal';
}

export interface BacnetChannelOptions {
  readonly host: string;
  readonly port: number;
  readonly timeoutMs: number;
  readonly fail: (error: unknown) => void;
}

/** A change of value that a device tells of. */
export interface Notice {
  readonly address: string;
  readonly subscription: number;
  readonly object: BacnetObjectId;
  readonly presentValue: unknown;
  /** Tells the device that it is kept; absent: nobody waits. */
  readonly confirm?: () => void;
  /** The same for a repeat of the same notice. */
  readonly invokeId?: number;
}

/** Questions at once, of all devices together: the protocol has 256 names for them. */
const questionsMax = 64;

const objectIdSchema = z.object({ type: z.number(), instance: z.number() });
const noticeSchema = z.object({
  invokeId: z.number().optional(),
  header: z.object({ sender: z.object({ address: z.string() }) }),
  payload: z.object({
    subscriberProcessId: z.number(),
    monitoredObjectId: objectIdSchema,
    values: z.array(
      z.object({
        property: z.object({ id: z.number() }),
        value: z.array(z.object({ value: z.unknown() })),
      }),
    ),
  }),
});

/** One UDP socket to all BACnet/IP devices. Throws `DeviceSilent` and `BacnetRefusal`. */
export class BacnetChannel implements Disposable {
  readonly #client: InstanceType<typeof Client>;
  readonly #waiting: (() => void)[] = [];
  #asking = 0;

  private constructor(client: InstanceType<typeof Client>) {
    this.#client = client;
  }

  /** Throws what the system throws, for example `EADDRINUSE`. */
  static async open(options: BacnetChannelOptions): Promise<BacnetChannel> {
    const { host, port, timeoutMs, fail } = options;
    const client = new Client({ interface: host, port, apduTimeout: timeoutMs, reuseAddr: false });
    const opened = Promise.withResolvers<void>();
    client.on('listening', () => opened.resolve());
    client.on('error', (error) => opened.reject(error));
    await opened.promise;
    client.on('error', fail);
    return new BacnetChannel(client);
  }

  /** Present values in the order of the objects; undefined for what the device does not have. */
  async readMany(address: string, objects: readonly BacnetObjectId[]): Promise<unknown[]> {
    const properties: BACNetReadAccessSpecification[] = objects.map((objectId) => ({
      objectId,
      properties: [{ id: PropertyIdentifier.PRESENT_VALUE, index: wholeValue }],
    }));
    const { values } = await this.#asked(() =>
      this.#client.readPropertyMultiple({ address }, properties),
    );
    return objects.map((object) => {
      const found = values.find(({ objectId: { type, instance } }) => {
        return type.valueOf() === object.type && instance === object.instance;
      });
      const [told] = found?.values[0]?.value ?? [];
      return told?.type.valueOf() === ApplicationTag.ERROR.valueOf() ? undefined : told?.value;
    });
  }

  async read(address: string, object: BacnetObjectId): Promise<unknown> {
    const { values } = await this.#asked(() =>
      this.#client.readProperty({ address }, object, PropertyIdentifier.PRESENT_VALUE),
    );
    return values[0]?.value;
  }

  async write(
    address: string,
    object: BacnetObjectId,
    word: { readonly tag: number; readonly value: number; readonly priority: number },
  ): Promise<void> {
    const { tag: type, value, priority } = word;
    await this.#asked(() =>
      this.#client.writeProperty(
        { address },
        object,
        PropertyIdentifier.PRESENT_VALUE,
        [{ type, value }],
        { priority },
      ),
    );
  }

  async subscribe(
    address: string,
    object: BacnetObjectId,
    of: { readonly id: number; readonly isConfirmed: boolean; readonly lifetimeSeconds: number },
  ): Promise<void> {
    const { id, isConfirmed, lifetimeSeconds } = of;
    await this.#asked(() =>
      this.#client.subscribeCov({ address }, object, id, false, isConfirmed, lifetimeSeconds),
    );
  }

  onNotice(take: (notice: Notice) => void): void {
    this.#client.on('covNotify', (content) => {
      const notice = this.#noticeIn(content);
      if (!notice || notice.invokeId === undefined) return;
      const { address, invokeId } = notice;
      const service = ConfirmedServiceChoice.CONFIRMED_COV_NOTIFICATION;
      const confirm = () => this.#client.simpleAckResponse({ address }, service, invokeId);
      take({ ...notice, confirm });
    });
    this.#client.on('covNotifyUnconfirmed', (content) => {
      const notice = this.#noticeIn(content);
      if (notice) take(notice);
    });
  }

  #noticeIn(content: unknown): Notice | undefined {
    const read = noticeSchema.safeParse(content);
    if (!read.success) return undefined;
    const { invokeId, header, payload } = read.data;
    const present = payload.values.find(
      ({ property }) => property.id === PropertyIdentifier.PRESENT_VALUE.valueOf(),
    );
    return {
      address: header.sender.address,
      subscription: payload.subscriberProcessId,
      object: payload.monitoredObjectId,
      presentValue: present?.value[0]?.value,
      ...(invokeId !== undefined && { invokeId }),
    };
  }

  async #asked<Result>(ask: () => Promise<Result>): Promise<Result> {
    if (this.#asking >= questionsMax)
      await new Promise<void>((resolve) => void this.#waiting.push(resolve));
    this.#asking += 1;
    try {
      return await ask();
    } catch (error) {
      const message = error instanceof Error ? error.message : 'unknown';
      if (message.startsWith('Bacnet')) throw new BacnetRefusal(message);
      throw new DeviceSilent(message === 'ERR_TIMEOUT' ? 'no answer in time' : message);
    } finally {
      this.#asking -= 1;
      this.#waiting.shift()?.();
    }
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

/** The whole property, not an element of an array (ASHRAE 135, clause 21: ARRAY_ALL). */
const wholeValue = 0xffff_ffff;

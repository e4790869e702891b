import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

const first = 16;
const count = 224;
/** Listening there is how a network is held: the operating system lets one process do so. */
const claimPort = 20_464;

/** Addresses 127.x.0.0/16, which no other kubelet of this machine has while this one holds them. */
export class PodNetwork implements AsyncDisposable {
  /** The second byte. */
  readonly number: number;
  readonly #claim: Server;

  /** The preferred one, or the next that is free. */
  static async hold(preferred: number): Promise<PodNetwork> {
    for (let step = 0; step < count; step += 1) {
      const number = first + ((preferred - first + step) % count);
      const claim = await claimOf(number);
      if (claim !== undefined) return new PodNetwork(number, claim);
    }
    throw new Error('Cannot give pods addresses: all networks of loopback are taken');
  }

  private constructor(number: number, claim: Server) {
    this.number = number;
    this.#claim = claim;
  }

  /** Below 65,000, and again from the first. */
  address(index: number): string {
    return `127.${this.number}.${index >> 8}.${index & 255}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await once(this.#claim.close(), 'close');
  }
}

async function claimOf(number: number): Promise<Server | undefined> {
  const server = createServer((socket) => socket.destroy());
  server.listen(claimPort, `127.${number}.255.254`);
  try {
    await once(server, 'listening');
    return server;
  } catch {
    return undefined;
  }
}

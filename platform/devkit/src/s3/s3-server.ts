import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { pythonWith } from '../python.ts';

/** The server of it needs Flask alone, and not all that its extra `server` names. */
const requirements = ['moto[s3]==5.2.1', 'flask==3.1.2', 'flask-cors==6.0.1'];
const startTimeoutMs = 60_000;

/**
 * S3 as others made it: moto, an independent server on loopback that keeps objects and what is set at buckets, and knows conditional
 * writes. It asks for signatures and does not check rights.
 */
export class S3Server implements AsyncDisposable {
  readonly url: string;
  readonly #stop: () => Promise<void>;

  /** Throws if it does not listen within a minute. */
  static async start(): Promise<S3Server> {
    const python = await pythonWith(requirements);
    // It ends with this process, whatever becomes of that.
    const args = ['--pdeathsig', 'KILL', python, '-m', 'moto.server'];
    const child = spawn('setpriv', [...args, '--host', '127.0.0.1', '--port', '0'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const exited = once(child, 'exit');
    const stop = async (): Promise<void> => {
      child.kill('SIGKILL');
      await exited;
    };
    const lines = createInterface({ input: child.stderr });
    const timer = setTimeout(() => child.kill('SIGKILL'), startTimeoutMs);
    try {
      const url = await addressIn(lines);
      lines.on('line', () => undefined).resume();
      return new S3Server(url, stop);
    } catch (error) {
      await stop();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  private constructor(url: string, stop: () => Promise<void>) {
    this.url = url;
    this.#stop = stop;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop();
  }
}

async function addressIn(lines: AsyncIterable<string>): Promise<string> {
  for await (const line of lines) {
    const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(line) ?? [];
    if (url !== undefined) return url;
  }
  throw new Error('Cannot start the S3 server: it ended without an address');
}

import { once } from 'node:events';
import { PlatformError } from '@domicile/core/errors.ts';
import { z } from 'zod';

/** What the two processes of an upgrade say to each other, in this order. */
export const stepSchema = z.enum(['ready', 'listen', 'listening']);
export type Step = z.output<typeof stepSchema>;

/** The agent that started this one in order to go, as this one sees it. */
export interface Predecessor {
  /** Everything is prepared; resolves when this process may listen. Throws if the predecessor is gone before. */
  readyToListen(): Promise<void>;
  /** From here on there is no way back: the predecessor hands over. */
  listening(): void;
}

/** Speaks over the channel that Node opens between a process and its child. Throws without one. */
export function predecessorOf(channel: NodeJS.Process = process): Predecessor {
  if (channel.send === undefined)
    throw new PlatformError(
      'CONFIG_INVALID',
      'Cannot take over: GATEWAY_SUCCESSOR is set, but no agent started this one; unset it',
    );
  const say = (step: Step) => void channel.send?.(step);
  return {
    async readyToListen() {
      const gone = new AbortController();
      channel.once('disconnect', () => gone.abort());
      say('ready');
      const answer: unknown[] = await once(channel, 'message', { signal: gone.signal });
      if (stepSchema.parse(answer[0]) !== 'listen')
        throw new PlatformError(
          'CONFLICT',
          'Cannot take over: the agent before says something else',
        );
    },
    listening() {
      say('listening');
      channel.channel?.unref();
    },
  };
}

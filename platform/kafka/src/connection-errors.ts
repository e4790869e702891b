import { subscribe } from 'node:diagnostics_channel';
import { EventEmitter } from 'node:events';

let hears = false;

/**
 * The Kafka client listens for one error of each of its connections. A broker that dies in the middle of a
 * log-in causes two, and the second, unheard, would end this process. Whoever waits for the connection is
 * told by the first.
 */
export function hearConnectionErrors(): void {
  if (hears) return;
  hears = true;
  subscribe('plt:kafka:instances', (created) => {
    if (!isConnection(created)) return;
    created.instance.on('error', () => undefined);
  });
}

function isConnection(created: unknown): created is { readonly instance: EventEmitter } {
  return (
    typeof created === 'object' &&
    created !== null &&
    'type' in created &&
    created.type === 'connection' &&
    'instance' in created &&
    created.instance instanceof EventEmitter
  );
}

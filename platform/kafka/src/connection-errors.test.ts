import { channel } from 'node:diagnostics_channel';
import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { hearConnectionErrors } from './connection-errors.ts';

test('a second error of a connection ends nothing', () => {
  hearConnectionErrors();
  hearConnectionErrors();
  const connection = new EventEmitter();
  const other = new EventEmitter();
  channel('plt:kafka:instances').publish({ type: 'connection', instance: connection });
  channel('plt:kafka:instances').publish({ type: 'consumer', instance: other });
  expect(connection.listenerCount('error')).toBe(1);
  expect(other.listenerCount('error')).toBe(0);
  expect(connection.emit('error', new Error('again'))).toBe(true);
});

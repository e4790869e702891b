import { expect, test } from 'vitest';
import { eventStreamParser, reconnectDelayMs } from './event-stream.ts';

const text =
  ': hello\r\nid: 7\r\nevent: latest\r\ndata: {"a":\r\ndata: 1}\r\n\r\n' +
  'data:plain\n\nevent: nothing\n\nid: 8\rdata: x\r\rretry: 5\n\n';

const events = [
  { event: 'latest', data: '{"a":\n1}', lastEventId: '7' },
  { event: 'message', data: 'plain', lastEventId: '7' },
  { event: 'message', data: 'x', lastEventId: '8' },
];

test('events are read whole, with the id to resume from', () => {
  expect(eventStreamParser()(text)).toEqual(events);
});

test('wherever the stream is cut, the same events come out', () => {
  for (let cut = 0; cut <= text.length; cut += 1) {
    const parse = eventStreamParser();
    const parts = [text.slice(0, cut), text.slice(cut)];
    expect(parts.flatMap((part) => parse(part))).toEqual(events);
  }
});

test('one character at a time gives the same events', () => {
  const parse = eventStreamParser();
  expect(text.split('').flatMap((char) => parse(char))).toEqual(events);
});

test('an event that is not complete yet is not given', () => {
  const parse = eventStreamParser();
  expect(parse('data: a\n')).toEqual([]);
  expect(parse('\n')).toEqual([{ event: 'message', data: 'a', lastEventId: undefined }]);
});

test('waiting doubles up to half a minute, and dice spread it over its upper half', () => {
  expect([0, 1, 2].map((failures) => reconnectDelayMs(failures, 1))).toEqual([500, 1000, 2000]);
  expect(reconnectDelayMs(0, 0)).toBe(250);
  expect(reconnectDelayMs(50, 1)).toBe(30_000);
});

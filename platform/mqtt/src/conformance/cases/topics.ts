import assert from 'node:assert/strict';
import type { Bench, Case } from '../bench.ts';
import { packetType } from '../wire.ts';

/** Of these topics below the test's prefix, those that the filter takes; what it should take is waited for. */
async function taken(
  bench: Bench,
  filter: string,
  { takes, leaves }: Pick<Match, 'takes' | 'leaves'>,
): Promise<string[]> {
  const client = await bench.client();
  const [code = 0x80] = await client.subscribe([[filter, 0]]);
  assert.ok(code < 0x80, `${filter} is refused`);
  for (const topic of [...takes, ...leaves]) await client.publish(topic, 'x');
  const end = bench.topic('the end of it');
  await client.subscribe([[end, 0]]);
  await client.publish(end, 'x', { qos: 1 });
  const has = (topic: string) => client.inbox.some((heard) => heard.topic === topic);
  await bench.until(() => [...takes, end].every(has));
  await client.hearsNothing().catch(() => undefined);
  await client.ping();
  const own = client.inbox.filter(
    ({ type, topic }) => type === packetType.publish && topic.includes(bench.prefix),
  );
  return [...new Set(own.map(({ topic }) => topic).filter((topic) => topic !== end))];
}

interface Match {
  readonly filter: string;
  readonly takes: readonly string[];
  readonly leaves: readonly string[];
}

/** With `~` for the test's prefix. */
async function matches(bench: Bench, all: readonly Match[]): Promise<void> {
  const named = (path: string): string => path.replaceAll('~', bench.prefix);
  for (const { filter, takes, leaves } of all) {
    const of = { takes: takes.map(named), leaves: leaves.map(named) };
    const found = await taken(bench, named(filter), of);
    assert.deepEqual(found.toSorted(), of.takes.toSorted(), filter);
  }
}

async function refusesFilters(bench: Bench, filters: readonly string[]): Promise<void> {
  await bench.each(filters, async (client, filter) => {
    const [code] = await client.subscribe([[filter, 0]]);
    assert.equal(code, bench.is5 ? 0x8f : 0x80, filter);
  });
}

export const topicCases: readonly Case[] = [
  {
    v5: '4.7.1-1',
    v3: '4.7.1-2',
    says: '# takes its level, all below it and the parent',
    run: (bench) =>
      matches(bench, [
        {
          filter: '~/sport/#',
          takes: ['~/sport', '~/sport/a', '~/sport/a/b/c', '~/sport/'],
          leaves: ['~/sports', '~', '~/a/sport/b'],
        },
        { filter: '#', takes: ['~', '~/a/b', '/~'], leaves: [] },
      ]),
  },
  {
    v5: '4.7.1-1',
    v3: '4.7.1-2',
    says: '# elsewhere than alone on the last level is refused',
    run: (bench) => refusesFilters(bench, ['a/#/b', 'a#', '#/a', '##', 'a/b#', '#a']),
  },
  {
    v5: '4.7.1-2',
    v3: '4.7.1-3',
    says: '+ takes exactly one level, an empty one too',
    run: (bench) =>
      matches(bench, [
        { filter: '~/+', takes: ['~/a', '~/'], leaves: ['~', '~/a/b'] },
        { filter: '~/+/c', takes: ['~/b/c', '~//c'], leaves: ['~/c', '~/a/b/c'] },
        { filter: '+/~/+', takes: ['a/~/b', '/~/b'], leaves: ['~/b', 'a/~'] },
        { filter: '+/+', takes: ['/~', '~/a'], leaves: ['~', '~/a/b'] },
        { filter: '/+', takes: ['/~'], leaves: ['~', '~/a'] },
        { filter: '+/~/#', takes: ['a/~', 'a/~/b/c'], leaves: ['~/a'] },
      ]),
  },
  {
    v5: '4.7.1-2',
    v3: '4.7.1-3',
    says: '+ beside other characters of a level is refused',
    run: (bench) => refusesFilters(bench, ['a+', 'a/+b', '+a/b', 'a/b+/c', '++']),
  },
  {
    v5: '4.7.2-1',
    v3: '4.7.2-1',
    says: 'a filter that begins with a wildcard does not take topics that begin with $',
    run: async (bench) => {
      const watcher = await bench.client();
      await watcher.subscribe([
        ['#', 0],
        ['+/a', 0],
      ]);
      const publisher = await bench.client();
      // A server may refuse such a topic.
      await publisher.publish(`$${bench.prefix}/a`, 'x', { only: true, qos: 1 });
      await publisher.publish('$SYS/a', bench.prefix, { only: true, qos: 1 });
      await watcher.publish(bench.topic('a'), 'x', { qos: 1 });
      await bench.until(() => watcher.inbox.some(({ topic }) => topic === bench.topic('a')));
      await watcher.hearsNothing().catch(() => undefined);
      await watcher.ping();
      const heard = watcher.inbox.filter(({ topic }) => topic !== '');
      assert.ok(heard.some(({ topic }) => topic === bench.topic('a')));
      assert.deepEqual(
        heard.filter(({ topic }) => topic.startsWith('$')),
        [],
      );
    },
  },
  {
    v5: '§4.7.2',
    v3: '4.7.2-1',
    says: '$SYS is served to who asks for it by name, and to nobody who asks for #',
    run: async (bench) => {
      const client = await bench.client();
      await client.subscribe([['$SYS/#', 0]]);
      const heard = await client.take(packetType.publish);
      assert.ok(heard.topic.startsWith('$SYS/'));
      const other = await bench.client();
      await other.subscribe([['#', 0]]);
      await other.hearsNothing().catch(() => undefined);
      assert.ok(other.inbox.every(({ topic }) => !topic.startsWith('$')));
    },
  },
  {
    v5: '4.7.3-1',
    v3: '4.7.3-1',
    says: 'an empty filter is refused',
    run: (bench) => refusesFilters(bench, ['']),
  },
  {
    v5: '4.7.3-3',
    v3: '4.7.3-3',
    says: 'long topic names and filters are taken, or refused with a word, and nothing breaks',
    run: async (bench) => {
      const long = bench.topic('x'.repeat(65_500 - bench.prefix.length));
      const client = await bench.client();
      const [code] = await client.subscribe([[long, 0]]);
      assert.ok(code !== undefined);
      const publisher = await bench.client();
      await publisher.publish(long, 'x', { qos: 1, only: true });
      if (code < 0x80) assert.equal((await client.receive()).topic, long);
      else await client.hearsNothing();
    },
  },
  {
    v5: '4.7.3-4 1.5.4-3',
    v3: '4.7.3-4 1.5.3-3',
    says: 'topics are compared as they are: no normalization, case and U+FEFF included',
    run: (bench) =>
      matches(bench, [
        { filter: '~/é', takes: ['~/é'], leaves: ['~/e\u0301', '~/É', '~/é '] },
        { filter: '~/A', takes: ['~/A'], leaves: ['~/a', '~/A/'] },
        { filter: '~/ /\u{1f600}', takes: ['~/ /\u{1f600}'], leaves: ['~/\u{1f600}'] },
        { filter: '\ufeff~/a', takes: ['\ufeff~/a'], leaves: ['~/a'] },
        { filter: '~/\ufeff/+', takes: ['~/\ufeff/b'], leaves: ['~//b'] },
      ]),
  },
];

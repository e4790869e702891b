import { freshName } from '@domicile/devkit/fresh-name.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestHouse } from './test-house.ts';

let house: TestHouse;
beforeAll(async () => {
  house = await TestHouse.open();
});
afterAll(() => house[Symbol.asyncDispose]());

const freshBuilding = () => freshName('de');

test('what was acked stands in its stream, under its building and with where it came from', async () => {
  const building = freshBuilding();
  await house.declare(building);
  const client = await house.clientSoon(building, { clientId: 'gw-1' });
  const send = (kind: string, payload: string, qos: 0 | 1 | 2) =>
    client.publishAsync(`v1/${building}/${kind}`, payload, { qos });
  await send('d1/telemetry', '{"values":{"co2":600}}', 1);
  await send('d1/telemetry', 'no JSON at all', 2);
  await send('d1/backfill', '{"values":{"co2":500}}', 1);
  await send('gateway/account', '{"devices":[]}', 1);
  await client.endAsync();
  const mine = async (stream: 'telemetry' | 'backfill') =>
    (await house.records(stream)).filter(({ key }) => key?.toString() === building);
  const registered = (await house.records('registry')).find(
    ({ key }) => key?.toString() === building,
  );
  const from = { client: 'gw-1', 'registry-offset': `${registered?.offset}` };
  expect(
    (await mine('telemetry')).map(({ value, headers, partition }) => [
      value?.toString(),
      Object.fromEntries(headers),
      partition === registered?.partition,
    ]),
  ).toEqual([
    ['{"values":{"co2":600}}', { schema: 'telemetry/1', device: 'd1', ...from }, true],
    ['no JSON at all', { schema: 'telemetry/1', device: 'd1', ...from }, true],
    ['{"devices":[]}', { schema: 'account-report/1', device: 'gateway', ...from }, true],
  ]);
  expect((await mine('backfill')).map(({ value }) => value?.toString())).toEqual([
    '{"values":{"co2":500}}',
  ]);
});

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { issueCertificate } from '@domicile/devkit/certificates.ts';
import { createAuthority } from '@domicile/runtime/certificates.ts';
import { expect, test } from 'vitest';
import { configText, testAgent, testBuilding, testDirectory, until } from '../test-agent.ts';
import { TestCell } from '../test-cell.ts';

async function secured() {
  const authority = await createAuthority('cell de');
  const server = await issueCertificate(authority, {
    name: 'broker',
    names: [{ type: 'ip', value: '127.0.0.1' }],
  });
  const gateway = await issueCertificate(authority, {
    name: 'gw-1',
    names: [{ type: 'url', value: `urn:domicile:de:${testBuilding}:gw-1` }],
  });
  const cell = await TestCell.start({
    ca: authority.certificate,
    cert: server.certificate,
    key: server.key,
    requestCert: true,
    rejectUnauthorized: true,
  });
  return { authority, gateway, cell };
}

test('the uplink shows its certificate to a cell whose certificate it checks', async () => {
  const { authority, gateway, cell: secure } = await secured();
  await using cell = secure;
  await using directory = await testDirectory();
  await writeFile(join(directory.path, 'ca.pem'), authority.certificate);
  await writeFile(join(directory.path, 'gw.pem'), gateway.certificate);
  await writeFile(join(directory.path, 'gw.key'), gateway.key);
  const uplink = { caFile: 'ca.pem', certFile: 'gw.pem', keyFile: 'gw.key' };
  await using _agent = await testAgent(directory.path, configText(cell.url, { uplink }));
  await until(() => cell.bodies('gateway/status').length > 0);
  expect(cell.connects[0]).toMatchObject({ clientId: 'gw-1', protocolVersion: 5 });
});

test('a cell that another authority vouches for gets nothing', async () => {
  const { gateway, cell: secure } = await secured();
  await using cell = secure;
  const stranger = await createAuthority('stranger');
  await using directory = await testDirectory();
  await writeFile(join(directory.path, 'ca.pem'), stranger.certificate);
  await writeFile(join(directory.path, 'gw.pem'), gateway.certificate);
  await writeFile(join(directory.path, 'gw.key'), gateway.key);
  const uplink = { caFile: 'ca.pem', certFile: 'gw.pem', keyFile: 'gw.key' };
  await using agent = await testAgent(directory.path, configText(cell.url, { uplink }));
  const failed = async () => {
    const metrics = await (await fetch(`${agent.adminUrl}/metrics`)).text();
    return /gateway_uplink_failures_total\{[^}]*\} [1-9]/.test(metrics);
  };
  let hasFailed = false;
  while (!hasFailed) hasFailed = await failed();
  expect(cell.connects).toEqual([]);
});

test('where the cell takes passwords, the building is the user and the will says when it is gone', async () => {
  await using cell = await TestCell.start();
  await using directory = await testDirectory();
  await writeFile(join(directory.path, 'password'), 'secret\n');
  const uplink = { passwordFile: 'password' };
  await using _agent = await testAgent(directory.path, configText(cell.url, { uplink }));
  await until(() => cell.connects.length > 0);
  const [connect] = cell.connects;
  expect(connect).toMatchObject({ userName: testBuilding });
  expect(connect?.password?.toString()).toBe('secret');
  expect(connect?.will).toMatchObject({
    topic: `v1/${testBuilding}/gateway/status`,
    retain: true,
    qos: 1,
  });
  expect(JSON.parse(connect?.will?.payload.toString() ?? '')).toMatchObject({ state: 'offline' });
});

test('a stop does not wait for a cell that never answers the subscription', async () => {
  await using cell = await TestCell.start();
  const asked = Promise.withResolvers<void>();
  cell.grant = () => {
    asked.resolve();
    return new Promise(() => undefined);
  };
  await using directory = await testDirectory();
  // Nothing else ends the connection meanwhile.
  const uplink = { keepAliveSeconds: 3600 };
  const agent = await testAgent(directory.path, configText(cell.url, { uplink }));
  await asked.promise;
  await agent[Symbol.asyncDispose]();
  expect(cell.connects).toHaveLength(1);
});

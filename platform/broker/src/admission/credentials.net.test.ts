import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { issueCertificate, loopbackNames } from '@domicile/devkit/certificates.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { type KeyPair, createAuthority } from '@domicile/runtime/certificates.ts';
import { expect, test } from 'vitest';
import { hashPassword } from '../password.ts';
import { endOf, TestDoor } from './test-door.ts';
import { revocationList } from './test-revocation-list.ts';

const serialOf = ({ certificate }: KeyPair) => new X509Certificate(certificate).serialNumber;

/** The serial number that the server shows to who comes now. */
async function shownBy(door: TestDoor): Promise<string | undefined> {
  const socket = connectTls({
    host: '127.0.0.1',
    port: door.listeners.mqttsPort ?? 0,
    ca: door.authority.certificate,
  });
  await once(socket, 'secureConnect');
  const serial = socket.getPeerX509Certificate()?.serialNumber;
  socket.destroy();
  return serial;
}

async function comeBy(door: TestDoor, { certificate: cert, key }: KeyPair) {
  return door.client('tls', { cert, key, clientId: serialOf({ certificate: cert, key }) });
}

test('a server certificate is replaced under live connections', async () => {
  await using door = await TestDoor.open();
  await door.declare('de-a');
  const client = await comeBy(door, await door.issue('de-a'));
  const old = await shownBy(door);
  const renewed = await door.renewServer();
  await waitFor('the new one', async () => (await shownBy(door)) === serialOf(renewed));
  expect(old).not.toBe(serialOf(renewed));
  await client.publishAsync('t', 'still here', { qos: 1 });
  const newer = await comeBy(door, await door.issue('de-a'));
  await Promise.all([client.endAsync(), newer.endAsync()]);
  expect(door.lines.join('')).toContain('Certificates loaded');
});

test('half of a new pair changes nothing, is told once, and holds when the other half comes', async () => {
  await using door = await TestDoor.open();
  const old = await shownBy(door);
  const next = await issueCertificate(door.authority, { name: 'broker', names: loopbackNames });
  const told = () => door.lines.filter((line) => line.includes('Certificates not loaded')).length;
  await door.write('server.pem', next.certificate);
  await waitFor('the complaint', () => told() === 1);
  expect(await shownBy(door)).toBe(old);
  // Revocations go on beside it.
  await door.declare('de-a');
  const revoked = await door.issue('de-a');
  const client = await comeBy(door, revoked);
  const end = endOf(client);
  await door.write('revoked.txt', serialOf(revoked));
  expect(await end).toBe(0x87);
  expect(told()).toBe(1);
  await door.write('server.key', next.key);
  await waitFor('the new one', async () => (await shownBy(door)) === serialOf(next));
});

test.each(['serial numbers', 'a list of the authority'])(
  'a certificate is revoked by %s: its live connection ends, it comes in no more, others stay',
  async (by) => {
    await using door = await TestDoor.open();
    await door.declare('de-a');
    const [lost, kept] = [await door.issue('de-a'), await door.issue('de-a')];
    const [client, other] = [await comeBy(door, lost), await comeBy(door, kept)];
    const end = endOf(client);
    if (by === 'serial numbers') {
      await door.write('revoked.txt', `# stolen on Tuesday\n${serialOf(lost).toLowerCase()}\n`);
    } else {
      await door.write('crl.pem', await revocationList(door.authority, [serialOf(lost)]));
    }
    expect(await end).toBe(0x87);
    await expect(comeBy(door, lost)).rejects.toMatchObject({ code: 0x87 });
    await other.publishAsync('t', 'x', { qos: 1 });
    await other.endAsync();
    const metrics = await door.metrics();
    expect(metrics).toContain('mqtt_credentials_ended_total{cause="certificate-revoked"} 1');
    expect(metrics).toContain('mqtt_admission_refused_total{cause="certificate-revoked"} 1');
  },
);

test('a file that goes away is told once, and what it said still holds', async () => {
  await using door = await TestDoor.open();
  await door.declare('de-a');
  const lost = await door.issue('de-a');
  await door.write('revoked.txt', serialOf(lost));
  await waitFor('the serial', () => door.lines.join('').includes('Certificates loaded'));
  await rm(door.path('revoked.txt'));
  const told = () => door.lines.filter((line) => line.includes('Certificates not loaded')).length;
  await waitFor('the complaint', () => told() === 1);
  await expect(comeBy(door, lost)).rejects.toMatchObject({ code: 0x87 });
  await wait(200);
  expect(told()).toBe(1);
  await door.write('revoked.txt', '');
  await waitFor('the file', async () =>
    comeBy(door, lost)
      .then((c) => c.endAsync())
      .then(
        () => true,
        () => false,
      ),
  );
});

test('a list that another authority signed is not believed', async () => {
  await using door = await TestDoor.open();
  await door.declare('de-a');
  const certificate = await door.issue('de-a');
  const client = await comeBy(door, certificate);
  const stranger = await createAuthority('cell-de');
  await door.write('crl.pem', await revocationList(stranger, [serialOf(certificate)]));
  await waitFor('the complaint', () => door.lines.join('').includes('Certificates not loaded'));
  await client.publishAsync('t', 'x', { qos: 1 });
  await client.endAsync();
  await waitFor('the end', () => door.connections === 0);
  expect(door.closed).toEqual([0]);
});

test('a list that is late still counts', async () => {
  await using door = await TestDoor.open();
  await door.declare('de-a');
  const [lost, kept] = [await door.issue('de-a'), await door.issue('de-a')];
  const client = await comeBy(door, lost);
  const end = endOf(client);
  const late = { nextUpdate: new Date(Date.now() - 1000) };
  await door.write('crl.pem', await revocationList(door.authority, [serialOf(lost)], late));
  expect(await end).toBe(0x87);
  await (await comeBy(door, kept)).endAsync();
});

test('a connection ends with its certificate, however long it was open', async () => {
  await using door = await TestDoor.open({ reviewEveryMs: 50 });
  await door.declare('de-a');
  const seconds = 6;
  const short = await door.issue('de-a', { days: seconds / 86_400 });
  const client = await comeBy(door, short);
  await client.publishAsync('t', 'x', { qos: 1 });
  expect(await endOf(client)).toBe(0x87);
  await expect(comeBy(door, short)).rejects.toMatchObject({ code: 0x87 });
  expect(await door.metrics()).toContain(
    'mqtt_credentials_ended_total{cause="certificate-expired"} 1',
  );
});

test('a password that is changed, and a building that is offboarded, end live sessions', async () => {
  await using door = await TestDoor.open();
  await door.declare('de-a');
  await door.declare('de-b');
  const changed = await door.client('tcp', door.known('de-a'));
  const gone = await door.client('tcp', door.known('de-b'));
  const byCertificate = await comeBy(door, await door.issue('de-a'));
  const ends = [endOf(changed), endOf(gone)];
  await door.declare('de-a', { passwordHash: await hashPassword('new', { N: 16, r: 1, p: 1 }) });
  await door.declare('de-b', { state: 'offboarded' });
  expect(await Promise.all(ends)).toEqual([0x87, 0x87]);
  await expect(door.client('tcp', door.known('de-a'))).rejects.toMatchObject({ code: 0x86 });
  await (await door.client('tcp', door.known('de-a', { password: 'new' }))).endAsync();
  await byCertificate.endAsync();
});

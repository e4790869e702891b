import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { startAgent } from '@domicile/gateway-agent/agent.ts';
import { parseConfig } from '@domicile/gateway-agent/config.ts';
import { TestCell } from '@domicile/gateway-agent/test-cell.ts';
import { TestIssuer, testBuilding, testToken } from '@domicile/issuer/test-issuer.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { expect, test } from 'vitest';
import { z } from 'zod';

// A gateway comes with a token alone: it gets its certificate, connects with it, and changes it for the next ones while devices
// send, without anybody's doing and without losing a reading.

const lifetimeMs = 9000;
const patienceMs = 60_000;
const issuedLine = z.object({ serial: z.string(), key: z.string(), gateway: z.string() });

test('a gateway enrols by its token, renews in time, and loses nothing while it changes', async () => {
  await using issuer = await TestIssuer.start({ ISSUER_CERTIFICATE_MS: `${lifetimeMs}` });
  const directory = await mkdtemp(join(tmpdir(), 'enrolment-'));
  const [ca, cert, key] = await Promise.all(
    ['ca.pem', 'server.pem', 'server.key'].map((name) => readFile(issuer.at(name))),
  );
  await using cell = await TestCell.start({ ca, cert, key, requestCert: true });
  await writeFile(join(directory, 'token'), `${testToken}\n`);
  const log: string[] = [];
  const agent = () =>
    startAgent(
      parsed(directory, { cell: cell.url, issuer: issuer.url, ca: issuer.at('ca.pem') }),
      (error) => log.push(String(error)),
      { log: createLog('gateway-agent', { write: (line) => void log.push(line) }) },
    );
  let count = 0;
  {
    await using running = await agent();
    const from = performance.now();
    // Through two renewals at least: they come at two thirds.
    while (performance.now() - from < patienceMs && cell.connects.length < 3) {
      const response = await fetch(
        `http://127.0.0.1:${running.ports['http'] ?? 0}/v1/devices/r101-air/telemetry`,
        {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: `{"values":{"co2":${count}}}`,
        },
      );
      expect(response.status).toBeLessThan(300);
      count += 1;
      await wait(20);
    }
    const status = () => fetch(`${running.adminUrl}/status`).then((answer) => answer.json());
    // The cell knows of a connection before the gateway is told that it has one.
    await expect.poll(status, { timeout: 20_000 }).toMatchObject({
      link: { connected: true },
      certificate: { state: expect.stringMatching(/good|due|late/), issuer: 'CN=test-authority' },
    });
    expect(await status()).not.toHaveProperty('enrolment');
    await expect.poll(() => seqsOf(cell).size, { timeout: 20_000 }).toBe(count);
    expect(await fetch(`${running.adminUrl}/metrics`).then((answer) => answer.text())).toMatch(
      /gateway_certificate_enrolments_total\{outcome="renewal"[^}]*\} [1-9]/,
    );
  }
  expect(seqsOf(cell).size).toBe(count);

  const issued = await issuedBy(issuer);
  expect(issued.length).toBeGreaterThanOrEqual(3);
  expect(new Set(issued.map(({ key: of }) => of)).size).toBe(issued.length);
  expect(cell.connects.length).toBeGreaterThanOrEqual(3);
  expect((await stat(join(directory, 'gateway.key'))).mode & 0o777).toBe(0o600);
  expect(log.join('')).not.toContain(testToken);
  // Renewal is no outage: nobody is to be woken by it.
  expect(log.filter((line) => line.includes('cannot connect'))).toEqual([]);

  // A certificate that has ended, and a token that is used: it says what to do, and devices are served all the same.
  await wait(lifetimeMs);
  {
    await using running = await agent();
    const status = () => fetch(`${running.adminUrl}/status`).then((answer) => answer.json());
    await expect.poll(status, { timeout: 20_000 }).toMatchObject({
      link: { connected: false },
      certificate: { state: 'ended' },
      enrolment: { reason: expect.stringMatching(/token was used for another key/) },
    });
    // A new token is taken up without a restart.
    await issuer.declare('active', 'another-token');
    await writeFile(join(directory, 'token'), 'another-token');
    await expect.poll(status, { timeout: 20_000 }).toMatchObject({ link: { connected: true } });
  }
  await rm(directory, { recursive: true, force: true });
}, 150_000);

function seqsOf(cell: TestCell): ReadonlySet<number> {
  return new Set(cell.readings().map(({ seq }) => seq));
}

function parsed(directory: string, at: { cell: string; issuer: string; ca: string }) {
  const file = {
    building: testBuilding,
    gateway: 'gw-1',
    dataDirectory: 'data',
    uplink: {
      url: at.cell,
      caFile: at.ca,
      certFile: 'gateway.pem',
      keyFile: 'gateway.key',
      reconnectMsMax: 500,
      enrolment: { url: at.issuer.replace('/.well-known/est', ''), tokenFile: 'token' },
    },
    drivers: { http: { port: 0 } },
  };
  return { ...parseConfig(JSON.stringify(file), directory), allowDrop: false };
}

async function issuedBy(issuer: TestIssuer) {
  const text = await readFile(issuer.at('state/issued.ndjson'), 'utf8').catch(() => '');
  return text
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => issuedLine.parse(JSON.parse(line)));
}

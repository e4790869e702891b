import { execFile } from 'node:child_process';
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { createServer as createTlsServer, request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readConfig } from '@domicile/api-gateway/config.ts';
import { startGateway } from '@domicile/api-gateway/start.ts';
import { freePort } from '@domicile/devkit/free-ports.ts';
import { TestIssuer, testBuilding, testToken } from '@domicile/issuer/test-issuer.ts';
import { expect, test } from 'vitest';

// A gateway that knows the address of a cell's API alone enrols there, and is told where it renews.

const run = promisify(execFile);

test('the front door passes enrolments on, and sends renewals to the issuer itself', async () => {
  await using issuer = await TestIssuer.start();
  await using directory = await mkdtempDisposable(join(tmpdir(), 'door-'));
  const secret = join(directory.path, 'secret');
  const jwks = join(directory.path, 'jwks.json');
  await writeFile(secret, 's'.repeat(40));
  await writeFile(jwks, '{"keys":[]}');
  const issuerUrl = issuer.url.replace('/.well-known/est', '');
  const base = {
    GATEWAY_COUNTRY: 'DE',
    GATEWAY_PORT: '0',
    GATEWAY_ISSUER: 'http://127.0.0.1:1',
    GATEWAY_JWKS: jwks,
    GATEWAY_INTERNAL_SECRET_FILE: secret,
    GATEWAY_SERVING_URL: 'http://127.0.0.1:1',
    GATEWAY_RAW_URL: 'http://127.0.0.1:1',
    GATEWAY_COMMANDS_URL: 'http://127.0.0.1:1',
  };
  await using door = await startGateway(
    readConfig({ ...base, GATEWAY_EST_URL: issuerUrl, GATEWAY_EST_CA_FILE: issuer.at('ca.pem') }),
  );
  const at = (name: string) => `${door.url}/.well-known/est/${name}`;
  const post = async (name: string, ...options: string[]) => {
    const fixed = [
      '--silent',
      '--output',
      'door.answer',
      '--write-out',
      '%{http_code} %{redirect_url}',
    ];
    const body = ['--header', 'Content-Type: application/pkcs10', '--data-binary', '@gw.p10'];
    const { stdout } = await run('curl', [...fixed, ...body, ...options, at(name)], {
      cwd: issuer.directory,
    });
    return stdout.trim();
  };
  await issuer.request('gw');
  expect(await post('simpleenroll', '--user', `${testBuilding}:wrong`)).toBe('401');
  expect(await post('simpleenroll', '--user', `us-4h8t:${testToken}`)).toBe('421');
  expect(await post('simpleenroll', '--user', `${testBuilding}:${testToken}`)).toBe('200');
  expect(await issuer.certificate('door')).toContain(`URI:urn:domicile:de:${testBuilding}:gw-1`);
  expect(await post('simplereenroll')).toBe(`308 ${issuer.url}/simplereenroll`);
  const authority = await fetch(at('cacerts'));
  expect([authority.status, authority.headers.get('content-type')]).toEqual([
    200,
    'application/pkcs7-mime',
  ]);
  await issuer.write('door.answer', await authority.text());
  await issuer.certificate('door');
  expect(await readFile(issuer.at('door.pem'), 'utf8')).toContain('BEGIN CERTIFICATE');
  expect((await fetch(at('fullcmc'))).status).toBe(404);

  // No issuer, and one that does not answer.
  await using none = await startGateway(readConfig(base));
  expect((await fetch(`${none.url}/.well-known/est/cacerts`)).status).toBe(501);
  const nobody = `https://127.0.0.1:${await freePort()}`;
  await using away = await startGateway(readConfig({ ...base, GATEWAY_EST_URL: nobody }));
  expect((await fetch(`${away.url}/.well-known/est/cacerts`)).status).toBe(503);
});

test('a gateway that knows the door alone enrols by token and renews at the issuer it is sent to', async () => {
  await using issuer = await TestIssuer.start();
  await using directory = await mkdtempDisposable(join(tmpdir(), 'door-'));
  const [cert, key] = await Promise.all(
    ['server.pem', 'server.key'].map((name) => readFile(issuer.at(name))),
  );
  const seen: string[] = [];
  // What stands before a site's front door: it ends TLS, and what is behind sees no certificate.
  const door = createTlsServer({ cert, key }, (request, response) => {
    seen.push(`${request.url} ${request.headers.authorization === undefined ? 'bare' : 'token'}`);
    if (request.url?.endsWith('/simplereenroll'))
      response.writeHead(308, { Location: `${issuer.url}/simplereenroll` }).end();
    else {
      const passed = httpsRequest(`${issuer.url}/simpleenroll`, {
        method: 'POST',
        headers: request.headers,
        rejectUnauthorized: false,
      });
      request.pipe(passed);
      passed.once('response', (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(response);
      });
    }
  });
  await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
  const address = door.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  await writeFile(join(directory.path, 'token'), testToken);
  const config = {
    building: testBuilding,
    gateway: 'gw-1',
    dataDirectory: 'data',
    uplink: {
      url: 'mqtts://127.0.0.1:1',
      caFile: issuer.at('ca.pem'),
      certFile: 'gateway.pem',
      keyFile: 'gateway.key',
      enrolment: { url: `https://127.0.0.1:${port}`, tokenFile: 'token' },
    },
  };
  const file = join(directory.path, 'gateway.yaml');
  await writeFile(file, JSON.stringify(config));
  const program = join(import.meta.dirname, '../gateway-agent/bin/domicile-gateway.js');
  const enrol = async (...options: string[]) =>
    (await run(process.execPath, [program, 'enrol', file, ...options])).stdout;
  expect(await enrol()).toMatch(/^Enrolled/);
  expect(await enrol('--force')).toMatch(/^Renewed/);
  const est = '/.well-known/est';
  expect(seen).toEqual([`${est}/simpleenroll token`, `${est}/simplereenroll bare`]);
  door.close();
});

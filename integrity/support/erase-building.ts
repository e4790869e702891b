import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { ask, until } from './api.ts';
import type { OnboardedCountry } from './onboarded-country.ts';

const run = promisify(execFile);
const hourMs = 3_600_000;
const place = ['--namespace', 'domicile-buildings'];
const system = ['--namespace', 'domicile-system'];

/** Weeks become seconds: what was on its way has landed when the test erases. */
export async function hastenErasure(up: OnboardedCountry): Promise<void> {
  const deployment = 'deployment/domicile-operator';
  const times = ['SETTLE_MS=2000', 'KAFKA_RETENTION_MS=5000', 'GRACE_MS=0'];
  const settings = times.map((time) => `OPERATOR_ERASURE_${time}`);
  await up.kubectl(...system, 'set', 'env', deployment, ...settings);
  await up.kubectl(...system, 'rollout', 'status', deployment);
}

/** As the runbook does it; resolves with what its certificate says, when that is there and OpenSSL has verified it. */
export async function eraseBuilding(
  up: OnboardedCountry,
  building: string,
  timeoutMs: number,
): Promise<unknown> {
  const policy = { spec: { deletionPolicy: 'Delete', exportBeforeDelete: true } };
  const patch = ['--type=merge', '--patch', JSON.stringify(policy)];
  await up.kubectl(...place, 'patch', 'building', building, ...patch);
  await up.kubectl(...place, 'delete', 'building', building, '--wait=false');
  const told = [...place, 'get', 'building', building, '--ignore-not-found', '--output=yaml'];
  await until('the end of the building', () => up.kubectl(...told), {
    fits: (resource) => resource === '',
    timeoutMs,
  });
  const label = ['--selector', 'domicile.dev/certificate=erasure'];
  const jws = ['--output', String.raw`jsonpath={.items[*].data.certificate\.jws}`];
  return verified(up, await up.kubectl(...system, 'get', 'configmap', ...label, ...jws));
}

/** A JWS of ES256 (RFC 7515, RFC 7518 §3.4), by OpenSSL, with what it signs. */
async function verified(up: OnboardedCountry, jws: string): Promise<unknown> {
  const [head = '', body = '', signature = ''] = jws.trim().split('.');
  const paths = ['signed', 'signature', 'ca.crt', 'key.pem'].map((name) => join(up.dir, name));
  const [signed = '', proof = '', authority = '', key = ''] = paths;
  await writeFile(signed, `${head}.${body}`);
  await writeFile(proof, derOf(Buffer.from(signature, 'base64url')));
  const certificate = ['--output', String.raw`jsonpath={.data.ca\.crt}`];
  await writeFile(
    authority,
    await up.kubectl('-n', 'domicile', 'get', 'configmap', 'cell-authority', ...certificate),
  );
  await run('openssl', ['x509', '-in', authority, '-pubkey', '-noout', '-out', key]);
  await run('openssl', ['dgst', '-sha256', '-verify', key, '-signature', proof, signed]);
  return z.looseObject({}).parse(JSON.parse(Buffer.from(body, 'base64url').toString()));
}

/** Of r and s, 32 bytes each, the sequence of two integers that OpenSSL reads. */
function derOf(signature: Buffer): Buffer {
  const integers = [signature.subarray(0, 32), signature.subarray(32)].map((bytes) =>
    integerOf(bytes),
  );
  const all = Buffer.concat(integers);
  return Buffer.concat([Buffer.of(0x30, all.length), all]);
}

/** Positive, and without a zero too many. */
function integerOf(bytes: Buffer): Buffer {
  let value = Buffer.concat([Buffer.of(0), bytes]);
  while (value[0] === 0 && value.length > 1 && ((value[1] ?? 0) & 0x80) === 0)
    value = value.subarray(1);
  return Buffer.concat([Buffer.of(2, value.length), value]);
}

/** Statuses of the API to those who could read it before. */
export async function answersOf(
  up: OnboardedCountry,
  { building, client }: { readonly building: string; readonly client: 'client' | 'otherClient' },
): Promise<{ readonly latest: number; readonly raw: number }> {
  const { tokens } = up.country.file;
  const api = await up.api();
  const latest = await ask(api, `/v1/buildings/${building}/latest`, { token: tokens[client] });
  const [from, to] = [-hourMs, hourMs].map((ms) => new Date(Date.now() + ms).toISOString());
  const period = `from=${from}&to=${to}`;
  const token = tokens.analyst;
  const raw = await ask(api, `/v1/raw/readings?building=${building}&${period}`, { token });
  return { latest: latest.status, raw: raw.status };
}

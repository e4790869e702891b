import { X509Certificate } from 'node:crypto';
import { createAuthority, type KeyPair } from '@domicile/runtime/certificates.ts';
import { beforeAll, expect, test } from 'vitest';
import { isServing, issueServer } from './certificates.ts';

const nowMs = Date.UTC(2026, 0, 1);
const dayMs = 86_400_000;
const hosts = ['broker', 'broker.domicile.svc', 'mqtt.de.example', '192.0.2.1'];
let authority: KeyPair;
let server: KeyPair;

beforeAll(async () => {
  authority = await createAuthority('domicile-de', nowMs);
  server = await issueServer(authority, { commonName: 'broker', hosts }, nowMs);
});

const serves = (
  changes: Partial<Parameters<typeof isServing>[1]> = {},
  pair: KeyPair = server,
): boolean => isServing(pair, { authority: authority.certificate, hosts, nowMs, ...changes });

test('a certificate is signed by the authority for all names, and is no authority itself', () => {
  const read = new X509Certificate(server.certificate);
  expect(read.ca).toBe(false);
  expect(read.checkIssued(new X509Certificate(authority.certificate))).toBe(true);
  expect(new X509Certificate(authority.certificate).ca).toBe(true);
  expect(serves()).toBe(true);
});

test('it is renewed a third of its life before its end', () => {
  expect(serves({ nowMs: nowMs + 59 * dayMs })).toBe(true);
  expect(serves({ nowMs: nowMs + 61 * dayMs })).toBe(false);
});

test('it is another for another name, another authority, another key, or if it is none', async () => {
  expect(serves({ hosts: [...hosts, 'mqtt.example'] })).toBe(false);
  const other = await createAuthority('domicile-de', nowMs);
  expect(serves({ authority: other.certificate })).toBe(false);
  expect(serves({}, { ...server, key: other.key })).toBe(false);
  expect(serves({}, { certificate: 'edited', key: 'edited' })).toBe(false);
});

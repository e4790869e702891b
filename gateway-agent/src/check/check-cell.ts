import { once } from 'node:events';
import { access, readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import type { AgentConfig, UplinkConfig } from '../config.ts';
import { durationText } from '../model/amount-text.ts';
import { fail, type Finding, ok, reasonOf, warn } from './finding.ts';

const timeoutMs = 10_000;
/** A device that is further off gets the agent's time, so the agent's own should be far better. */
const clockOffMsMax = 30_000;

/** Connects as the agent would, under a client id of its own, so that nothing of the agent's is touched. */
export async function checkCell({ uplink }: AgentConfig): Promise<Finding[]> {
  const { url, building, gateway } = uplink;
  const from = performance.now();
  try {
    const client = await connected(url, await optionsOf(uplink));
    const ms = Math.round(performance.now() - from);
    await client.endAsync();
    const secured = url.startsWith('mqtts:');
    const text = `${url} takes ${gateway} of ${building}, in ${ms} ms`;
    return secured
      ? [ok('cell', text)]
      : [warn('cell', `${text}, in plain text`, 'use mqtts:// outside a closed network')];
  } catch (error) {
    return [fail('cell', `${url}: ${reasonOf(error)}`, todoOf(error))];
  }
}

/** In TLS 1.3 a certificate is refused when the connection stands already: it closes without a word. */
class ClosedAtOnce extends Error {
  readonly code = 'CLOSED';
}

async function connected(url: string, options: IClientOptions): Promise<MqttClient> {
  const client = connect(url, options);
  const { promise, resolve, reject } = Promise.withResolvers<MqttClient>();
  client.once('connect', () => resolve(client));
  client.once('error', reject);
  client.once('close', () => reject(new ClosedAtOnce('it closes the connection')));
  client.on('error', () => undefined);
  try {
    return await promise;
  } catch (error) {
    client.end(true);
    throw error;
  }
}

async function optionsOf(uplink: UplinkConfig): Promise<IClientOptions> {
  const { building, gateway, caFile, certFile, keyFile, passwordFile } = uplink;
  const [ca, cert, key, password] = await Promise.all(
    [caFile, certFile, keyFile, passwordFile].map(async (path) => path && readFile(path)),
  );
  return {
    protocolVersion: 5,
    clientId: `${gateway}-check`,
    clean: true,
    reconnectPeriod: 0,
    connectTimeout: timeoutMs,
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
    ...(password && { username: building, password: password.toString().trim() }),
  };
}

function todoOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'ENOENT') return 'get the certificate first: domicile-gateway enrol';
  if (code === 'CLOSED' || code === 'ECONNRESET')
    return 'it does not take this certificate: ended, revoked or of another authority; or it is too busy';
  if (code === 'ECONNREFUSED')
    return 'the host answers and the port does not: is the port right, is the cell up?';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return 'the name is not known here: look at DNS and the uplink of this network';
  if (
    code.startsWith('CERT_') ||
    code.includes('SIGNATURE') ||
    code.includes('ISSUER') ||
    code.startsWith('ERR_TLS') ||
    code.startsWith('DEPTH') ||
    code.startsWith('SELF_SIGNED')
  )
    return 'the cell shows a certificate that uplink.caFile does not stand for: is it the right cell and the right file?';
  if (code === '134' || code === '135' || code === '4' || code === '5')
    return 'the cell knows this gateway not, or its credentials are of another building: ask who runs the cell';
  return 'look at the network between here and the cell, and at the health of the cell';
}

/** The issuer, and by its answer the clock: it says its own time with each. */
export async function checkIssuer({ uplink, clock }: AgentConfig): Promise<Finding[]> {
  const { enrolment, caFile } = uplink;
  if (!enrolment && clock.syncedFile !== undefined) return [await syncedFinding(clock.syncedFile)];
  if (!enrolment)
    return [
      warn(
        'clock',
        'nothing here tells how far it is off',
        'see that the time service runs: timedatectl',
      ),
    ];
  const trusted = enrolment.caFile ?? caFile;
  try {
    const from = Date.now();
    const sent = request(`${enrolment.url.replace(/\/$/, '')}/.well-known/est/cacerts`, {
      agent: false,
      signal: AbortSignal.timeout(timeoutMs),
      ...(trusted !== undefined && { ca: await readFile(trusted) }),
    });
    sent.end();
    const [answer]: IncomingMessage[] = await once(sent, 'response');
    answer?.resume();
    if (answer?.statusCode !== 200)
      return [
        fail(
          'issuer',
          `${enrolment.url} answers ${answer?.statusCode ?? 0}`,
          'is uplink.enrolment.url the issuer of the cell?',
        ),
      ];
    const nowMs = (from + Date.now()) / 2;
    return [ok('issuer', enrolment.url), clockFinding(answer.headers.date, nowMs)];
  } catch (error) {
    return [fail('issuer', `${enrolment.url}: ${reasonOf(error)}`, todoOf(error))];
  }
}

async function syncedFinding(file: string): Promise<Finding> {
  const isSet = await access(file).then(
    () => true,
    () => false,
  );
  if (isSet) return ok('clock', `set, says ${file}`);
  return warn(
    'clock',
    `not set yet: there is no ${file}`,
    'see that the time service runs: timedatectl',
  );
}

/** The header has whole seconds: half of one is added. */
function clockFinding(date: string | undefined, nowMs: number): Finding {
  const offMs = nowMs - (Date.parse(date ?? '') + 500);
  if (Number.isNaN(offMs))
    return warn(
      'clock',
      'the issuer does not tell the time',
      'see that the time service runs: timedatectl',
    );
  const text = `${durationText(Math.abs(offMs))} ${offMs < 0 ? 'behind' : 'ahead of'} the cell`;
  if (Math.abs(offMs) <= clockOffMsMax)
    return ok('clock', Math.abs(offMs) < 1500 ? 'as the cell’s' : text);
  return fail('clock', text, 'set it, and see that the time service runs: timedatectl');
}

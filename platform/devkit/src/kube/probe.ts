import { execFile } from 'node:child_process';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from './pod-command.ts';
import type { ContainerSpec, ProbeSpec } from './pod-spec.ts';

export interface ProbeTarget {
  readonly podIp: string;
  readonly container: ContainerSpec;
  readonly command: Command;
}

/** Asks again and again until the signal is aborted, and tells each verdict that its thresholds allow. */
export async function probeUntil(
  spec: ProbeSpec,
  target: ProbeTarget,
  { signal, verdict }: { readonly signal: AbortSignal; readonly verdict: (ok: boolean) => void },
): Promise<void> {
  const counted = { ok: false, times: 0 };
  await pause(spec.initialDelaySeconds, signal);
  while (!signal.aborted) {
    const ok = await probeOnce(spec, target);
    if (signal.aborted) return;
    counted.times = counted.ok === ok ? counted.times + 1 : 1;
    counted.ok = ok;
    if (counted.times >= (ok ? spec.successThreshold : spec.failureThreshold)) verdict(ok);
    await pause(spec.periodSeconds, signal);
  }
}

async function pause(seconds: number, signal: AbortSignal): Promise<void> {
  await sleep(seconds * 1000, undefined, { signal }).catch(() => undefined);
}

async function probeOnce(spec: ProbeSpec, target: ProbeTarget): Promise<boolean> {
  const timeoutMs = spec.timeoutSeconds * 1000;
  if (spec.exec !== undefined) return execProbe(spec.exec.command, target, timeoutMs);
  const port = portOf((spec.httpGet ?? spec.tcpSocket)?.port, target.container);
  if (spec.httpGet === undefined) return tcpProbe(target.podIp, port, timeoutMs);
  const { path, scheme, host = target.podIp } = spec.httpGet;
  return httpProbe({ host, port, path, timeoutMs, isSecure: scheme === 'HTTPS' });
}

function portOf(port: string | number | undefined, container: ContainerSpec): number {
  const named = container.ports.find(({ name }) => name === port)?.containerPort;
  return named ?? Number(port ?? 0);
}

function tcpProbe(host: string, port: number, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: timeoutMs });
    const end = (ok: boolean) => {
      socket.destroy();
      resolve(ok);
    };
    socket.once('connect', () => end(true));
    socket.once('timeout', () => end(false));
    socket.once('error', () => end(false));
  });
}

interface HttpProbe {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly timeoutMs: number;
  readonly isSecure: boolean;
}

/** As the kubelet: certificates are not verified, and any status from 200 to 399 is a success. */
function httpProbe({ host, port, path, timeoutMs, isSecure }: HttpProbe): Promise<boolean> {
  return new Promise((resolve) => {
    const options = { host, port, path, agent: false, headers: { 'user-agent': 'kube-probe' } };
    const start = isSecure ? httpsRequest : httpRequest;
    const call = start({ ...options, rejectUnauthorized: false }, (response) => {
      response.resume();
      const { statusCode = 0 } = response;
      end(statusCode >= 200 && statusCode < 400);
    });
    const timer = setTimeout(() => end(false), timeoutMs);
    const end = (ok: boolean) => {
      clearTimeout(timer);
      call.destroy();
      resolve(ok);
    };
    call.once('error', () => end(false));
    call.end();
  });
}

function execProbe(
  command: readonly string[],
  { command: { env, cwd } }: ProbeTarget,
  timeoutMs: number,
): Promise<boolean> {
  const [program = '', ...parameters] = command;
  const file = program === 'node' ? process.execPath : program;
  return new Promise((resolve) => {
    execFile(file, parameters, { env, cwd, timeout: timeoutMs }, (error) =>
      resolve(error === null),
    );
  });
}

/**
 * Loaded into each process of the process kubelet before its own code, with `?hosts=…&namespace=…&address=…`: names of Services
 * resolve to the addresses of their ready pods, and who listens on all addresses listens on that of its pod.
 */
import dns from 'node:dns';
import { readFileSync, statSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';

const settings = new URL(import.meta.url).searchParams;
const hostsFile = settings.get('hosts') ?? '';
const namespace = settings.get('namespace') ?? 'default';
const podAddress = settings.get('address') ?? '127.0.0.1';
const wildcards = new Set(['0.0.0.0', '::', '']);

let hosts: Record<string, string[]> = {};
/** Of the file as it was read: two of one moment have the same time, not the same inode. */
let version = '';

function addressesOf(hostname: string): string[] | undefined {
  const { mtimeMs, ino, size } = statSync(hostsFile);
  const found = `${mtimeMs} ${ino} ${size}`;
  if (found !== version) {
    hosts = JSON.parse(readFileSync(hostsFile, 'utf8'));
    version = found;
  }
  const name = hostname.toLowerCase().replace(/\.svc(\.cluster\.local)?\.?$/, '');
  const all = hosts[name] ?? hosts[`${name}.${namespace}`];
  const start = all === undefined ? 0 : Math.floor(Math.random() * all.length);
  return all && [...all.slice(start), ...all.slice(0, start)];
}

type Callback = (error: Error | null, address?: unknown, family?: number) => void;

const systemLookup = dns.lookup;

function lookup(hostname: string, ...rest: unknown[]): unknown {
  const callback = rest.at(-1);
  const addresses = addressesOf(hostname);
  if (addresses === undefined || !isCallback(callback))
    return Reflect.apply(systemLookup, dns, [hostname, ...rest]);
  const [options] = rest;
  const wantsAll = typeof options === 'object' && options !== null && Reflect.get(options, 'all');
  process.nextTick(() => {
    if (wantsAll === true) callback(null, addresses.map(withFamily));
    else callback(null, addresses[0], 4);
  });
  return {};
}

function isCallback(value: unknown): value is Callback {
  return typeof value === 'function';
}

function withFamily(address: string): { address: string; family: number } {
  return { address, family: 4 };
}

const systemPromise = dns.promises.lookup;

async function lookupPromise(hostname: string, options?: unknown): Promise<unknown> {
  const addresses = addressesOf(hostname);
  if (addresses === undefined)
    return Reflect.apply(systemPromise, dns.promises, [hostname, options]);
  const wantsAll = typeof options === 'object' && options !== null && Reflect.get(options, 'all');
  return wantsAll === true ? addresses.map(withFamily) : withFamily(addresses[0] ?? podAddress);
}

const systemListen: unknown = Reflect.get(net.Server.prototype, 'listen');

function listen(this: net.Server, ...parameters: unknown[]): unknown {
  if (typeof systemListen !== 'function') throw new Error('Cannot listen');
  return Reflect.apply(systemListen, this, onPodAddress(parameters));
}

/** `listen({ port, host })` and `listen(port, host?)`; pipes and handles are left alone. */
function onPodAddress([first, second, ...rest]: unknown[]): unknown[] {
  if (typeof first === 'object' && first !== null && Reflect.has(first, 'port')) {
    const host: unknown = Reflect.get(first, 'host') ?? '';
    const isAny = typeof host === 'string' && wildcards.has(host);
    return [isAny ? { ...first, host: podAddress } : first, second, ...rest];
  }
  const isPort = typeof first === 'number' || (typeof first === 'string' && /^\d+$/.test(first));
  if (!isPort) return [first, second, ...rest];
  if (typeof second === 'string')
    return [first, wildcards.has(second) ? podAddress : second, ...rest];
  return second === undefined ? [first, podAddress, ...rest] : [first, podAddress, second, ...rest];
}

Object.assign(dns, { lookup });
Object.assign(dns.promises, { lookup: lookupPromise });
Object.assign(net.Server.prototype, { listen });
syncBuiltinESMExports();

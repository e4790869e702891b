import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { must } from '@domicile/core/invariants.ts';
import { issueCertificate, loopbackNames } from '@domicile/devkit/certificates.ts';
import type { FaultProxy } from '@domicile/devkit/fault-proxy.ts';
import type { ChaosBuilding, ChaosWorld } from './chaos-world.ts';
import type { Fault, FaultKind } from './fault-plan.ts';

const pausable = /broker|tasks|lander|gateway-/;

/** What each kind of fault may hit in this world. */
export function targetsIn(world: ChaosWorld): Readonly<Record<FaultKind, readonly string[]>> {
  const ids = world.buildings.map(({ id }) => id);
  const links = ids.flatMap((id) => [`${id} uplink`, `${id} lan`]);
  return {
    kill: world.processes,
    pause: world.processes.filter((name) => pausable.test(name)),
    'restart-kafka': ['kafka'],
    cut: links,
    delay: links,
    throttle: links,
    'half-open': links,
    'fill-store': ids,
    'skew-clock': ids.flatMap((id) => [`${id} gateway`, `${id} devices`]),
    'rotate-certificates': ['broker', ...ids],
  };
}

const delayMs = 400;
const throttledBytesPerSecond = 4_000;
/** Within what a cell takes as a measured time. */
const gatewaySkewMs = 240_000;
const deviceSkewMs = 600_000;
const fillTimeoutMs = 60_000;
const fullWhenQuietMs = 3_000;

/** The last fault of each link: the next one on it waits, or the first to end would mend both. */
export type LinksInUse = Map<FaultProxy, Promise<unknown>>;

/** Does the harm, waits its time, and mends what can be mended. Returns what is worth a line in the report. */
export async function suffer(world: ChaosWorld, fault: Fault, links: LinksInUse): Promise<string> {
  const { kind, target } = fault;
  const link = kind === 'fill-store' ? world.building(target).uplink : linkOf(world, target);
  if (link === undefined) return sufferNow(world, fault);
  const turn = (links.get(link) ?? Promise.resolve()).then(() => sufferNow(world, fault));
  links.set(link, turn);
  return turn;
}

async function sufferNow(world: ChaosWorld, fault: Fault): Promise<string> {
  const { kind, target, forMs } = fault;
  const { supervisor } = world.demo.demo;
  switch (kind) {
    case 'kill':
      supervisor.kill(target);
      return '';
    case 'pause':
      supervisor.kill(target, 'SIGSTOP');
      await sleep(forMs);
      supervisor.kill(target, 'SIGCONT');
      return `for ${forMs} ms`;
    case 'restart-kafka':
      await world.cell.kafka.cluster.kill(1);
      world.cell.kafka.cluster.restart(1);
      await world.cell.kafka.cluster.ready();
      return '';
    case 'cut':
    case 'delay':
    case 'throttle':
    case 'half-open':
      return disturb(must(linkOf(world, target), 'a link'), fault);
    case 'fill-store':
      return fillStore(world, world.building(target));
    case 'skew-clock':
      return skew(world, fault);
    case 'rotate-certificates':
    default:
      await rotate(world, target);
      return '';
  }
}

/** The link of `{building} uplink` or `{building} lan`; other targets have none. */
function linkOf(world: ChaosWorld, target: string): FaultProxy | undefined {
  const [id = '', which] = target.split(' ');
  if (which !== 'uplink' && which !== 'lan') return undefined;
  return world.building(id)[which];
}

async function disturb(link: FaultProxy, { kind, forMs }: Fault): Promise<string> {
  if (kind === 'cut') link.cut();
  if (kind === 'half-open') link.silence();
  if (kind === 'delay') link.setWeather({ delayMs });
  if (kind === 'throttle') link.setWeather({ bytesPerSecondMax: throttledBytesPerSecond });
  await sleep(forMs);
  link.mend();
  return `for ${forMs} ms`;
}

/** Cuts the uplink until the gateway refuses its devices. */
async function fillStore(world: ChaosWorld, building: ChaosBuilding): Promise<string> {
  building.uplink.cut();
  const deadline = Date.now() + fillTimeoutMs;
  let acked = world.acked(building).length;
  let quietSince = Date.now();
  while (Date.now() < deadline && Date.now() - quietSince < fullWhenQuietMs) {
    await sleep(250);
    const now = world.acked(building).length;
    if (now !== acked) quietSince = Date.now();
    acked = now;
  }
  const isFull = Date.now() - quietSince >= fullWhenQuietMs;
  building.uplink.mend();
  return isFull ? 'until it refused' : `not full after ${fillTimeoutMs} ms`;
}

async function skew(world: ChaosWorld, { target, atMs, forMs }: Fault): Promise<string> {
  const [id = '', which] = target.split(' ');
  const { gatewaySkewFile, order } = world.building(id);
  const [file, byMs] =
    which === 'gateway' ? [gatewaySkewFile, gatewaySkewMs] : [order.skewFile, deviceSkewMs];
  const sign = atMs % 2 === 0 ? 1 : -1;
  await writeFile(file, `${sign * byMs}`);
  await sleep(forMs);
  await writeFile(file, '0');
  return `by ${(sign * byMs) / 1000} s for ${forMs} ms`;
}

/** New certificates from the same authority, put where the old ones lie. */
async function rotate(world: ChaosWorld, target: string): Promise<void> {
  if (target !== 'broker') {
    await world.cell.credentials.renew(target);
    return;
  }
  const authority = world.cell.credentials.authority;
  const server = await issueCertificate(authority, { name: 'broker', names: loopbackNames });
  const { keyFile, certFile } = must(world.cell.plan.tls, 'the cell has certificates');
  await writeFile(keyFile, server.key);
  await writeFile(certFile, server.certificate);
}

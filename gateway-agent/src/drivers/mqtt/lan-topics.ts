import { type BuildingId, type DeviceId, isDeviceId } from '@domicile/core/identities.ts';
import { type Topic, filterStaysIn, parseTopic } from '@domicile/core/topics.ts';

const shortKinds: ReadonlySet<string> = new Set([
  'telemetry',
  'backfill',
  'status',
  'commands',
  'command-states',
]);

/** `r101-air/telemetry` for devices that do not know their building; undefined for what is no topic of either form. */
export function parseLanTopic(topic: string, building: BuildingId): Topic | undefined {
  return parseTopic(topic.startsWith('v1/') ? topic : `v1/${building}/${topic}`);
}

/** The two names that a device may know its commands by. */
export function commandTopics(building: BuildingId, device: DeviceId, id: string): string[] {
  const short = `${device}/commands/${id}`;
  return [`v1/${building}/${short}`, short];
}

/** Whether a device may ask for what this filter matches: its building's topics, by either name. */
export function mayListen(filter: string, building: BuildingId): boolean {
  if (filter.startsWith('v1/')) return filterStaysIn(filter, building);
  const [device = '', kind = ''] = filter.split('/');
  return isDeviceId(device) && shortKinds.has(kind);
}

/** Whether a filter may be asked for where other topics are relayed: everything but what is reserved. */
export function mayOverhear(filter: string): boolean {
  return !filter.startsWith('v1/') && !filter.startsWith('$');
}

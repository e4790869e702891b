import {
  type BuildingId,
  type CommandId,
  type DeviceId,
  gatewayDevice,
  isBuildingId,
  isDeviceId,
  parseCommandId,
} from './identities.ts';

/** The longest topic of the grammar, in characters; a longer one is refused before it is looked at. */
export const topicLengthMax = 300;

/** What a topic of contracts `v1/{building}/{device}/…` says. */
export type Topic =
  | {
      readonly kind: 'telemetry' | 'backfill' | 'status' | 'account';
      readonly building: BuildingId;
      readonly device: DeviceId;
    }
  | {
      readonly kind: 'command' | 'command-state';
      readonly building: BuildingId;
      readonly device: DeviceId;
      readonly command: CommandId;
    };

const commandKinds: Readonly<Record<string, 'command' | 'command-state'>> = {
  commands: 'command',
  'command-states': 'command-state',
};

/** Undefined for what is no topic of the grammar. Never throws, and costs the same for any input. */
export function parseTopic(text: string): Topic | undefined {
  if (text.length > topicLengthMax) return undefined;
  const [version, building = '', device = '', kind = '', command, ...more] = text.split('/');
  if (version !== 'v1' || more.length > 0) return undefined;
  if (!isBuildingId(building) || !isDeviceId(device)) return undefined;
  if (command === undefined) return plainTopic({ building, device }, kind);
  const commandKind = Object.hasOwn(commandKinds, kind) ? commandKinds[kind] : undefined;
  if (commandKind === undefined || !isCommandId(command)) return undefined;
  return { kind: commandKind, building, device, command: parseCommandId(command) };
}

function plainTopic(
  where: { building: BuildingId; device: DeviceId },
  kind: string,
): Topic | undefined {
  if (kind === 'telemetry' || kind === 'backfill' || kind === 'status') return { kind, ...where };
  return kind === 'account' && where.device === gatewayDevice ? { kind, ...where } : undefined;
}

function isCommandId(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(text);
}

/** The text of a topic; `parseTopic` reads it back. */
export function topicText(topic: Topic): string {
  const base = `v1/${topic.building}/${topic.device}`;
  if (topic.kind === 'command') return `${base}/commands/${topic.command}`;
  if (topic.kind === 'command-state') return `${base}/command-states/${topic.command}`;
  return `${base}/${topic.kind}`;
}

/** Whether a filter (with `+` and `#`) can match only what lies below `v1/{building}/`. */
export function filterStaysIn(filter: string, building: BuildingId): boolean {
  return filter.length <= topicLengthMax && filter.startsWith(`v1/${building}/`);
}

/** MQTT 5, section 4.7: whether a topic name matches a filter of legal form. */
export function filterMatches(filter: string, topic: string): boolean {
  const wanted = filter.split('/');
  const levels = topic.split('/');
  for (const [index, part] of wanted.entries()) {
    if (part === '#') return true;
    if (index >= levels.length || (part !== '+' && part !== levels[index])) return false;
  }
  return wanted.length === levels.length;
}

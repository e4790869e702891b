/** A topic name (MQTT 5, section 4.7): no wildcard, no null; at most `levelsMax` levels, found without splitting. */
export function isTopicName(topic: string, levelsMax: number): boolean {
  if (topic.length === 0) return false;
  let levels = 1;
  for (let at = 0; at < topic.length; at += 1) {
    const code = topic.charCodeAt(at);
    if (code === slash) levels += 1;
    else if (code === plus || code === hash || code === 0) return false;
    if (levels > levelsMax) return false;
  }
  return true;
}

const slash = 0x2f;
const plus = 0x2b;
const hash = 0x23;

/** A topic filter: `+` fills a level, `#` is the last one. */
export function isTopicFilter(filter: string, levelsMax: number): boolean {
  if (filter.length === 0 || filter.includes('\0')) return false;
  // Split stops one level above the limit, whatever the length.
  const levels = filter.split('/', levelsMax + 1);
  if (levels.length > levelsMax) return false;
  return levels.every(
    (level, at) =>
      level === '+' ||
      (level === '#' && at === levels.length - 1) ||
      !(level.includes('+') || level.includes('#')),
  );
}

/** Whether a valid filter takes a valid topic (MQTT 5, section 4.7.2: wildcards leave out `$` topics). */
export function filterTakes(filter: string, topic: string): boolean {
  if (topic.startsWith('$') && !filter.startsWith('$')) return false;
  const wanted = filter.split('/');
  const given = topic.split('/');
  for (const [at, level] of wanted.entries()) {
    if (level === '#') return true;
    if (at >= given.length || (level !== '+' && level !== given[at])) return false;
  }
  return wanted.length === given.length;
}

export interface SubscriptionName {
  readonly filter: string;
  readonly share: string | undefined;
}

const sharePrefix = '$share/';

/** What a client subscribes to, read: a filter, or `$share/{group}/{filter}` (MQTT 5, section 4.8.2). */
export function parseSubscriptionName(
  name: string,
  levelsMax: number,
): SubscriptionName | undefined {
  if (!name.startsWith(sharePrefix)) {
    return isTopicFilter(name, levelsMax) ? { filter: name, share: undefined } : undefined;
  }
  const end = name.indexOf('/', sharePrefix.length);
  if (end < 0) return undefined;
  const share = name.slice(sharePrefix.length, end);
  const filter = name.slice(end + 1);
  if (share === '' || /[+#\0]/.test(share)) return undefined;
  return isTopicFilter(filter, levelsMax) ? { filter, share } : undefined;
}

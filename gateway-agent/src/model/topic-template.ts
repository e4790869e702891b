/** Text with places for levels of a topic: `{2}` is the second. */
export interface TopicTemplate {
  readonly text: string;
  /** The levels that it has places for, from 1. */
  readonly levels: readonly number[];
}

const place = /\{(\d{1,2})\}/g;

export function topicTemplate(text: string): TopicTemplate {
  return { text, levels: [...text.matchAll(place)].map(([, level]) => Number(level)) };
}

export function fill(template: TopicTemplate, levelAt: (level: number) => string): string {
  return template.text.replace(place, (_place, level: string) => levelAt(Number(level)));
}

/** What stands at the one place of the template in `filled`; undefined if it is not a filling of it. */
export function placeIn(template: TopicTemplate, filled: string): string | undefined {
  const [before = '', after] = template.text.split(/\{\d{1,2}\}/);
  if (after === undefined) return template.text === filled ? '' : undefined;
  if (filled.length <= before.length + after.length) return undefined;
  if (!filled.startsWith(before) || !filled.endsWith(after)) return undefined;
  return filled.slice(before.length, filled.length - after.length);
}

/** A filter that subscriptions may have (MQTT 5, section 4.7), of topics outside the platform's. */
export function faultOfFilter(filter: string): string | undefined {
  const levels = filter.split('/');
  if (filter === '' || levels.length > 16) return 'must have 1 to 16 levels';
  if (filter.startsWith('v1/') || filter.startsWith('$'))
    return 'may not begin with v1/ or $: these are the platform’s and the broker’s own';
  const isWrong = (level: string, at: number) =>
    level.includes('\0') ||
    (level.includes('+') && level !== '+') ||
    (level.includes('#') && (level !== '#' || at < levels.length - 1));
  return levels.some(isWrong) ? '+ must fill a level, and # must be the last one' : undefined;
}

/** Whether a level of the filter may differ from topic to topic. */
export function isOpenLevel(filter: string, level: number): boolean {
  const levels = filter.split('/');
  const text = levels[level - 1];
  return text === '+' || text === '#' || (text === undefined && levels.at(-1) === '#');
}

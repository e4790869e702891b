const byteUnits = ['B', 'kB', 'MB', 'GB', 'TB'];

/** As `1.2 GB`: powers of 1000, as disks are sold. */
export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < byteUnits.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const text = unit === 0 || value >= 99.5 ? value.toFixed(0) : value.toFixed(1);
  return `${text} ${byteUnits[unit] ?? ''}`;
}

/** As `3 h 12 min`: the two largest parts that say something. */
export function durationText(durationMs: number): string {
  const seconds = Math.max(0, Math.round(durationMs / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return pair(minutes, 'min', seconds % 60, 's');
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return pair(hours, 'h', minutes % 60, 'min');
  return pair(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  const rest = small === 0 || large >= 10 ? '' : ` ${small} ${smallUnit}`;
  return `${large} ${largeUnit}${rest}`;
}

/** As `12,345`. */
export function countText(count: number): string {
  return count.toLocaleString('en-US');
}

const digits = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** A run's id: 10 digits of time and 16 of chance, sortable by time, in the alphabet of ULIDs. */
export function runId(atMs: number, chance: Uint8Array): string {
  let time = '';
  for (let left = atMs, place = 0; place < 10; place += 1, left = Math.floor(left / 32))
    time = `${digits[left % 32]}${time}`;
  const random = Array.from({ length: 16 }, (_, place) => digits[(chance[place] ?? 0) % 32]);
  return time + random.join('');
}

import { PlatformError } from '@domicile/core/errors.ts';

/** RFC 9110, section 14: one range of bytes, the end excluded; undefined for the whole. */
export function byteRangeOf(
  header: string | undefined,
  bytes: number,
): { readonly start: number; readonly end: number } | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '');
  if (!match) return undefined; // what cannot be read, several ranges too, may be answered whole
  const [, first = '', last = ''] = match;
  if (first === '' && last === '') return undefined;
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined; // is no range
  const start = first === '' ? Math.max(0, bytes - Number(last)) : Number(first);
  const end = first === '' || last === '' ? bytes : Math.min(bytes, Number(last) + 1);
  if (start < end) return { start, end };
  throw new PlatformError('RANGE_NOT_SATISFIABLE', 'Cannot give that range: the object is shorter');
}

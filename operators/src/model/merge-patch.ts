type Fields = Readonly<Record<string, unknown>>;

/** The JSON merge patch (RFC 7396) that makes `wanted` of `current`; undefined if they are equal. */
export function mergePatchOf(current: unknown, wanted: Fields): Fields | undefined {
  const before = isFields(current) ? current : {};
  const patch: Record<string, unknown> = {};
  for (const name of Object.keys(before))
    if (wanted[name] === undefined && before[name] !== undefined) patch[name] = null;
  for (const [name, value] of Object.entries(wanted)) {
    if (value === undefined) continue;
    const was = before[name];
    // An empty object in the place of something else has to be told as such.
    const below =
      isFields(value) && isFields(was) ? mergePatchOf(was, value) : unlessEqual(was, value);
    if (below !== undefined) patch[name] = below;
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}

function unlessEqual(was: unknown, value: unknown): unknown {
  return isEqual(was, value) ? undefined : value;
}

/** Of JSON values; the order of keys does not count, what is undefined is absent. */
export function isEqual(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item: unknown, index) => isEqual(item, b[index]));
  if (!isFields(a) || !isFields(b)) return a === b;
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].every((name) => isEqual(a[name], b[name]));
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

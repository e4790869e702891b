const pathCharsMax = 1_024;

/**
 * The segments of a request's path, decoded once, or undefined for a path that could be read in two ways: empty
 * segments and dots; slashes, backslashes, percent signs and control characters that decoding brings forth. What is
 * read in two ways is judged by one and answered by the other.
 */
export function segmentsOf(path: string): readonly string[] | undefined {
  if (!path.startsWith('/') || path.length > pathCharsMax) return undefined;
  const segments = path.slice(1).split('/').map(decoded);
  return segments.every((segment) => segment !== undefined) ? segments : undefined;
}

/** Path and query of a request target. Absolute and other forms are for proxies, which this is not. */
export function splitTarget(target: string): { readonly path: string; readonly query: string } {
  const mark = target.indexOf('?');
  if (mark < 0) return { path: target, query: '' };
  return { path: target.slice(0, mark), query: target.slice(mark + 1) };
}

function decoded(segment: string): string | undefined {
  try {
    const text = decodeURIComponent(segment);
    return /^\.{0,2}$|[\\/%\p{Cc}]/u.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

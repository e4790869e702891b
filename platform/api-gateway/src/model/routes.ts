import type { Scope } from '@domicile/runtime/claims.ts';

/** Which service behind the door answers. */
export type Upstream = 'serving' | 'raw' | 'commands' | 'residency';
export type RouteMethod = 'GET' | 'POST';

/** A route of docs/api/http.md. The table is the whole of what the door lets through. */
export interface Route {
  readonly method: RouteMethod;
  /** Segments; `{name}` takes one, `{name...}` takes the rest. */
  readonly path: string;
  readonly scope: Scope;
  readonly upstream: Upstream;
  /** Announced and not there yet: 501, and left out of the description. */
  readonly isBuilt?: false;
  /** Answers without an end; counted and bounded by subject. */
  readonly isStream?: true;
}

const building = '/v1/buildings/{building}';

export const routes: readonly Route[] = [
  route('GET', '/v1/buildings', 'summary:read', 'serving'),
  route('GET', building, 'summary:read', 'serving'),
  route('GET', `${building}/summaries`, 'summary:read', 'serving'),
  route('GET', `${building}/latest`, 'summary:read', 'serving'),
  { ...route('GET', `${building}/live`, 'summary:read', 'serving'), isStream: true },
  route('GET', `${building}/devices`, 'summary:read', 'serving'),
  route('GET', `${building}/account`, 'summary:read', 'serving'),
  { ...route('GET', `${building}/alerts`, 'summary:read', 'serving'), isBuilt: false },
  { ...route('GET', `${building}/correlations`, 'summary:read', 'serving'), isBuilt: false },
  route('POST', `${building}/devices/{device}/commands`, 'command:write', 'commands'),
  route('GET', `${building}/devices/{device}/commands/{command}`, 'command:write', 'commands'),
  route('GET', '/v1/raw/readings', 'raw:read', 'raw'),
  { ...route('GET', '/v1/raw/files', 'raw:read', 'raw'), isBuilt: false },
  { ...route('GET', '/v1/raw/files/{path...}', 'raw:read', 'raw'), isBuilt: false },
  route('GET', '/v1/analysis', 'analysis:run', 'raw'),
  { ...route('POST', '/v1/analysis/sql', 'analysis:run', 'raw'), isBuilt: false },
  route('GET', '/v1/analysis/{name}', 'analysis:run', 'raw'),
  route('GET', '/v1/data', 'summary:read', 'serving'),
  route('GET', '/v1/data/{api}/{endpoint}', 'summary:read', 'serving'),
  route('GET', '/v1/data/{api}/{endpoint}/{path...}', 'summary:read', 'serving'),
  route('GET', '/v1/residency', 'residency:read', 'residency'),
];

function route(method: RouteMethod, path: string, scope: Scope, upstream: Upstream): Route {
  return { method, path, scope, upstream };
}

export interface Match {
  readonly route: Route;
  /** By the name in the path. */
  readonly parameters: Readonly<Record<string, string>>;
}

interface Part {
  readonly word: string;
  /** The parameter that this part is. */
  readonly name: string | undefined;
  readonly takesRest: boolean;
}

const patterns = routes.map((of) => ({ of, parts: of.path.slice(1).split('/').map(partOf) }));

function partOf(word: string): Part {
  const [, name, rest] = /^\{(\w+)(\.\.\.)?\}$/.exec(word) ?? [];
  return { word, name, takesRest: rest !== undefined };
}

export type Matched = Match | { readonly allowed: readonly string[] } | undefined;

/** The route of a request; the methods allowed there, if it is another's; undefined if there is no such path. */
export function matchRoute(method: string, segments: readonly string[]): Matched {
  const here = patterns.flatMap(({ of, parts }) => {
    const parameters = parametersOf(parts, segments);
    return parameters ? [{ route: of, parameters }] : [];
  });
  // A fixed word comes before a parameter: `sql` is no name of an analysis.
  const parametersMin = Math.min(...here.map(countOfParameters));
  const candidates = here.filter((one) => countOfParameters(one) === parametersMin);
  const wanted = method === 'HEAD' ? 'GET' : method;
  const match = candidates.find((one) => one.route.method === wanted);
  if (match || candidates.length === 0) return match;
  const allowed = candidates.flatMap((one) =>
    one.route.method === 'GET' ? ['GET', 'HEAD'] : [one.route.method],
  );
  return { allowed };
}

const countOfParameters = ({ parameters }: Match) => Object.keys(parameters).length;

function parametersOf(
  parts: readonly Part[],
  segments: readonly string[],
): Record<string, string> | undefined {
  const takesRest = parts.at(-1)?.takesRest === true;
  if (takesRest ? segments.length < parts.length : segments.length !== parts.length)
    return undefined;
  const parameters: Record<string, string> = {};
  for (const [index, { word, name }] of parts.entries()) {
    const isLast = index === parts.length - 1;
    const given = takesRest && isLast ? segments.slice(index).join('/') : segments[index];
    if (name === undefined && word !== given) return undefined;
    if (name !== undefined && given !== undefined) parameters[name] = given;
  }
  return parameters;
}

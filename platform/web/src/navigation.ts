import { parseRoute, type Route } from './model/route.ts';

/** The address bar as a store that components follow. */

const listeners = new Set<() => void>();
let known = { address: '', route: parseRoute('/', '') };

export function currentRoute(): Route {
  const address = location.pathname + location.search;
  // The same object for the same address: React compares snapshots by identity.
  if (known.address !== address)
    known = { address, route: parseRoute(location.pathname, location.search) };
  return known.route;
}

export function subscribeToRoute(listener: () => void): () => void {
  listeners.add(listener);
  addEventListener('popstate', listener);
  return () => {
    listeners.delete(listener);
    removeEventListener('popstate', listener);
  };
}

export function navigate(path: string, { replace = false } = {}): void {
  if (replace) history.replaceState(null, '', path);
  else history.pushState(null, '', path);
  for (const listener of listeners) listener();
}

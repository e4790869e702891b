import { PlatformError } from '@domicile/core/errors.ts';
import type { RequestHandler, Router } from 'express';

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** Adds a path with its methods; any other method answers 405 and says what is allowed. HEAD goes with GET. */
export function addRoute(
  router: Router,
  path: string,
  methods: Readonly<Partial<Record<Method, RequestHandler | RequestHandler[]>>>,
): void {
  const route = router.route(path);
  if (methods.GET) route.get(...[methods.GET].flat());
  if (methods.POST) route.post(...[methods.POST].flat());
  if (methods.PUT) route.put(...[methods.PUT].flat());
  if (methods.DELETE) route.delete(...[methods.DELETE].flat());
  const allowed = [...Object.keys(methods), ...(methods.GET ? ['HEAD'] : [])].join(', ');
  route.all((_request, response) => {
    response.setHeader('Allow', allowed);
    throw new PlatformError('METHOD_NOT_ALLOWED', `Cannot do it: the methods here are ${allowed}`);
  });
}

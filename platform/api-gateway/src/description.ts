import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CountryCode } from '@domicile/core/countries.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { addRoute } from '@domicile/runtime/http-route.ts';
import { Router } from 'express';
import { problemMeanings } from './model/api/problems.ts';
import { docsPage } from './model/docs-page.ts';
import { openApi } from './model/openapi.ts';

const policy = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'";

/** What anybody may read: the description, and the same as a page. Made once, at the start. */
export function descriptionRoutes(country: CountryCode): Router {
  const document = openApi(country);
  const page = docsPage(document);
  const style = readFileSync(join(import.meta.dirname, 'docs.css'));
  const router = Router({ caseSensitive: true, strict: true });
  addRoute(router, '/openapi.json', {
    GET: (_request, response) => void response.json(document),
  });
  addRoute(router, '/docs', {
    GET: (_request, response) => {
      response.setHeader('Content-Security-Policy', policy);
      response.setHeader('Content-Type', 'text/html; charset=utf-8');
      response.end(page);
    },
  });
  addRoute(router, '/problems/:code', {
    GET: (request, response) => {
      const { code } = request.params;
      if (typeof code !== 'string' || !Object.hasOwn(problemMeanings, code))
        throw new PlatformError('NOT_FOUND', 'Cannot find it: there is no such problem');
      response.redirect(303, `/docs#problem-${code}`);
    },
  });
  addRoute(router, '/docs/docs.css', {
    GET: (_request, response) => {
      response.setHeader('Content-Type', 'text/css; charset=utf-8');
      response.end(style);
    },
  });
  return router;
}

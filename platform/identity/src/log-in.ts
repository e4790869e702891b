import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { addRoute } from '@domicile/runtime/http-route.ts';
import express, { type Request, type RequestHandler, type Response, Router } from 'express';
import { errors, type Provider } from 'oidc-provider';
import { z } from 'zod';
import type { IdentityConfig } from './config.ts';
import type { Events } from './events.ts';
import { Attempts } from './model/attempts.ts';
import { loginPage, messagePage } from './model/page.ts';
import { isPassword } from './password.ts';
import type { FindUser } from './users.ts';

export interface LogInParts {
  readonly provider: Provider;
  readonly config: IdentityConfig;
  readonly findUser: FindUser;
  readonly events: Events;
}

const formBytesMax = 4 * 1024;
const form = z.object({ user: z.string().max(63), password: z.string().min(1).max(256) });
const wrong = 'The user name or the password is not right.';

/** The log-in page and what it is made of; everything else is the provider's. */
export function logInRoutes(parts: LogInParts): Router {
  const router = Router();
  router.use(guarded(parts.config));
  addRoute(router, '/interaction/:uid', {
    GET: orExpired((request, response) => showLogIn(parts, request, response)),
    POST: [readForm, orExpired(answerLogIn(parts))],
  });
  for (const [name, type] of [
    ['identity.css', 'text/css; charset=utf-8'],
    ['mark.svg', 'image/svg+xml'],
  ] as const) {
    const content = readFileSync(join(import.meta.dirname, name));
    addRoute(router, `/assets/${name}`, {
      GET: (_request, response) => {
        response.setHeader('Content-Type', type);
        response.setHeader('Cache-Control', 'public, max-age=3600');
        response.end(content);
      },
    });
  }
  return router;
}

/** A form may lead to the web app at its end, which browsers count as its target. */
function guarded(config: IdentityConfig): RequestHandler {
  const uris = [...config.IDENTITY_REDIRECT_URIS, ...config.IDENTITY_LOGOUT_URIS];
  const origins = [...new Set(uris.map((uri) => new URL(uri).origin))].join(' ');
  const policy = [
    "default-src 'none'",
    "style-src 'self'",
    "img-src 'self'",
    `form-action 'self' ${origins}`,
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join('; ');
  return (request, response, next) => {
    // The provider adds the hash of its one script, which ends a session that is over already.
    const scripts = request.path === '/session/end' ? "; script-src 'self'" : '';
    response.setHeader('Content-Security-Policy', policy + scripts);
    next();
  };
}

type Handler = (request: Request, response: Response) => Promise<void>;

function orExpired(handle: Handler): Handler {
  return async (request, response) => {
    try {
      await handle(request, response);
    } catch (error) {
      if (!(error instanceof errors.SessionNotFound)) throw error;
      const message = 'This page has expired. Go back to Domicile and sign in again.';
      sendPage(response, 400, messagePage('Sign in again', message));
    }
  };
}

const readForm = express.urlencoded({
  extended: false,
  limit: formBytesMax,
  parameterLimit: 10,
});

async function showLogIn({ provider }: LogInParts, request: Request, response: Response) {
  const { prompt, uid, session } = await provider.interactionDetails(request, response);
  if (prompt.name === 'login' || !session) {
    sendPage(response, 200, loginPage({ action: `/interaction/${uid}`, user: '' }));
    return;
  }
  // The web app may ask for consent by name; its own user gives it by signing in.
  await provider.interactionFinished(request, response, { consent: {} });
}

function answerLogIn({ provider, config, findUser, events }: LogInParts): Handler {
  const attempts = new Attempts();
  return async (request, response) => {
    const { uid } = await provider.interactionDetails(request, response);
    const entered = form.safeParse(request.body);
    const { user, password } = entered.success ? entered.data : { user: '', password: '' };
    const name = user.trim().toLowerCase();
    const again = (status: number, fault: string) =>
      sendPage(response, status, loginPage({ action: `/interaction/${uid}`, user: name, fault }));
    const address = addressOf(request, config);
    const waitMs = attempts.waitMs(name, address, Date.now());
    if (waitMs > 0) {
      events.logInLimited();
      response.setHeader('Retry-After', Math.ceil(waitMs / 1000));
      again(429, `Too many attempts. Try again in ${Math.ceil(waitMs / 60_000)} minutes.`);
      return;
    }
    // Counted before it is checked, so that many at once are not checked for one.
    attempts.failed(name, address, Date.now());
    const known = await findUser(name);
    if (!(await isRight(password, known?.passwordHash))) {
      events.logInRefused();
      again(401, wrong);
      return;
    }
    attempts.succeeded(name, address);
    events.loggedIn(name);
    await provider.interactionFinished(request, response, { login: { accountId: name } });
  };
}

async function isRight(password: string, hash: string | undefined): Promise<boolean> {
  if (password === '') return false;
  return isPassword(password, hash);
}

function addressOf(request: Request, config: IdentityConfig): string {
  const forwarded = config.IDENTITY_TRUST_PROXY ? request.get('x-forwarded-for') : undefined;
  return forwarded?.split(',').at(-1)?.trim() ?? request.socket.remoteAddress ?? 'unknown';
}

function sendPage(response: Response, status: number, page: string): void {
  response.setHeader('Cache-Control', 'no-store');
  response.setHeader('Content-Type', 'text/html; charset=utf-8');
  response.status(status).end(page);
}

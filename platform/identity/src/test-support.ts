import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@domicile/devkit/free-ports.ts';
import { readConfig } from './config.ts';
import { passwordHash } from './password.ts';
import { type IdentityService, startIdentity } from './start.ts';
import type { UsersFile } from './users.ts';

export const redirectUri = 'http://127.0.0.1:4999/callback';

/** A running issuer with two users, in a folder of its own. */
export interface TestIssuer extends AsyncDisposable {
  readonly issuer: string;
  readonly stateDir: string;
  readonly usersFile: string;
  readonly users: UsersFile['users'];
  service: IdentityService;
  restart(): Promise<void>;
}

export async function startTestIssuer(): Promise<TestIssuer> {
  const folder = await mkdtemp(join(tmpdir(), 'identity-'));
  const issuer = `http://127.0.0.1:${await freePort()}`;
  const usersFile = join(folder, 'users.json');
  const users: UsersFile['users'] = [
    {
      user: 'anna',
      passwordHash: await passwordHash('right horse'),
      client: 'acme',
      scopes: ['summary:read', 'command:write'],
      countries: ['DE', 'US'],
    },
    {
      user: 'bert',
      passwordHash: await passwordHash('left horse'),
      client: '*',
      scopes: ['raw:read'],
      countries: ['DE'],
    },
  ];
  await writeFile(usersFile, JSON.stringify({ users }));
  const stateDir = join(folder, 'state');
  const config = readConfig({
    IDENTITY_ISSUER: issuer,
    IDENTITY_PORT: new URL(issuer).port,
    IDENTITY_STATE_DIR: stateDir,
    IDENTITY_USERS_FILE: usersFile,
    IDENTITY_COUNTRIES: 'DE,US',
    IDENTITY_REDIRECT_URIS: redirectUri,
    IDENTITY_LOGOUT_URIS: 'http://127.0.0.1:4999/',
  });
  const start = () =>
    startIdentity(config, (error) => {
      throw error;
    });
  const running: TestIssuer = {
    issuer,
    stateDir,
    usersFile,
    users,
    service: await start(),
    async restart() {
      await running.service[Symbol.asyncDispose]();
      running.service = await start();
    },
    async [Symbol.asyncDispose]() {
      await running.service[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
  return running;
}

/** What a browser does at a log-in, without one: it keeps cookies and follows redirects at the issuer. */
export class TestBrowser {
  readonly #issuer: string;
  readonly #verifier = randomBytes(32).toString('base64url');
  readonly #cookies = new Map<string, string>();

  constructor(issuer: string) {
    this.#issuer = issuer;
  }

  authorizationUrl(more: [string, string][] = []): string {
    const challenge = createHash('sha256').update(this.#verifier).digest('base64url');
    const query = new URLSearchParams([
      ['client_id', 'domicile-web'],
      ['response_type', 'code'],
      ['redirect_uri', redirectUri],
      ['scope', 'openid offline_access summary:read command:write raw:read'],
      ['code_challenge', challenge],
      ['code_challenge_method', 'S256'],
      ...more,
    ]);
    return `${this.#issuer}/auth?${query.toString()}`;
  }

  /** Opens the log-in page; `target` is where it is. */
  async authorize(more: [string, string][] = []): Promise<{ page: Response; target: string }> {
    return this.#follow(this.authorizationUrl(more));
  }

  async logIn(target: string, user: string, password: string) {
    const body = new URLSearchParams({ user, password });
    return this.#follow(target, { method: 'POST', body });
  }

  exchange(code: string, more: Record<string, string> = {}) {
    return this.token({
      grant_type: 'authorization_code',
      code,
      redirect_uri: redirectUri,
      code_verifier: this.#verifier,
      ...more,
    });
  }

  token(parameters: Record<string, string>): Promise<Response> {
    return fetch(`${this.#issuer}/token`, {
      method: 'POST',
      headers: { origin: new URL(redirectUri).origin },
      body: new URLSearchParams({ client_id: 'domicile-web', ...parameters }),
    });
  }

  async visit(path: string, body?: Record<string, string>): Promise<Response> {
    const init = body ? { method: 'POST', body: new URLSearchParams(body) } : {};
    return (await this.#follow(`${this.#issuer}${path}`, init)).page;
  }

  async #follow(from: string, init: RequestInit = {}): Promise<{ page: Response; target: string }> {
    let target = from;
    let options = init;
    for (let hop = 0; hop < 10 && target.startsWith(this.#issuer); hop += 1) {
      const page = await fetch(target, {
        ...options,
        redirect: 'manual',
        headers: { cookie: [...this.#cookies].map((pair) => pair.join('=')).join('; ') },
      });
      for (const line of page.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
        this.#cookies.set(name, value);
      }
      const location = page.headers.get('location');
      if (location === null) return { page, target };
      target = new URL(location, target).href;
      options = {};
    }
    return { page: new Response(), target };
  }
}

import { z } from 'zod';
import type { Cell, Configuration } from '../model/configuration.ts';
import {
  authorizationUrl,
  discoverySchema,
  encodeBase64Url,
  pendingSchema,
  readCallback,
  readIdToken,
  tokenAnswerSchema,
  tokenErrorSchema,
  type Discovery,
  type Pending,
} from '../model/oauth.ts';
import { CellProblem } from '../model/problem.ts';

const keptSchema = z.object({ refreshToken: z.string(), idToken: z.string(), name: z.string() });

type Kept = z.output<typeof keptSchema>;

export type SessionState =
  | { readonly signedIn: true; readonly name: string }
  | { readonly signedIn: false; readonly reason?: string };

interface AccessToken {
  readonly token: string;
  readonly expiresAt: number;
}

const keptKey = 'domicile.session';
const pendingKey = 'domicile.signing-in';
/** A token is renewed this long before it ends, so that none ends on its way. */
const renewBeforeMs = 20_000;
const issuerTimeoutMs = 20_000;
/** So long a page that is loaded anew waits for the one before it to let go of the session. */
const claimMsMax = 2_000;

/**
 * One sign-in at the issuer, one access token a cell. Access tokens stay in memory; the refresh token
 * stays in this tab's session storage, so that a reload asks nothing.
 */
export class Session {
  readonly #configuration: Configuration;
  readonly #listeners = new Set<() => void>();
  readonly #tokens = new Map<string, AccessToken>();
  /** By audience; whoever needs the same token waits for the same renewal. */
  readonly #renewals = new Map<string, Promise<string>>();
  #kept: Kept | undefined;
  #state: SessionState;
  #discovery: Promise<Discovery> | undefined;
  /** Refresh tokens are used once, so exchanges go one after the other. */
  #exchanges: Promise<unknown> = Promise.resolve();

  constructor(configuration: Configuration) {
    this.#configuration = configuration;
    this.#kept = read(keptKey, keptSchema);
    this.#state = this.#kept ? { signedIn: true, name: this.#kept.name } : { signedIn: false };
  }

  get state(): SessionState {
    return this.#state;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Leaves for the issuer. Throws a `CellProblem` when it cannot be reached. */
  async signIn(returnTo: string): Promise<void> {
    const { authorization_endpoint: endpoint } = await this.#discover();
    const pending = { state: random(), nonce: random(), verifier: random(), returnTo };
    sessionStorage.setItem(pendingKey, JSON.stringify(pending));
    const digest = await crypto.subtle.digest(
      'SHA-256',
      new TextEncoder().encode(pending.verifier),
    );
    const url = authorizationUrl({
      endpoint,
      clientId: this.#configuration.clientId,
      redirectUri: redirectUri(),
      audiences: this.#configuration.cells.map(({ audience }) => audience),
      challenge: encodeBase64Url(new Uint8Array(digest)),
      pending,
    });
    location.assign(url);
  }

  /** Takes what the issuer sent back; answers with the path to go on to. */
  async finishSignIn(search: string): Promise<string> {
    const pending = read(pendingKey, pendingSchema);
    sessionStorage.removeItem(pendingKey);
    const callback = readCallback(search, pending, this.#configuration.issuer);
    // Going back in the browser's history brings an old answer: whoever is signed in stays so.
    if (this.#kept && !pending) return '/';
    if (callback.kind === 'refused' || !pending) {
      this.#become({
        signedIn: false,
        ...(callback.kind === 'refused' && { reason: callback.reason }),
      });
      return '/';
    }
    try {
      await this.#exchangeCode(callback.code, pending);
      return pending.returnTo;
    } catch {
      this.#forget('The sign-in could not be finished. Please try again.');
      return '/';
    }
  }

  /**
   * Makes the session this tab's alone; false in a copy of a tab, which has the refresh token of the first one: used in
   * both it would end the sign-in in both. Nothing of it stays in the copy, which signs in anew.
   */
  async claim(): Promise<boolean> {
    if (!this.#kept || (await isHeld(`${keptKey} ${this.#kept.idToken}`))) return true;
    this.#forget('This tab is a copy of another one. Please sign in here, too.');
    return false;
  }

  /** A token for one cell, another one than `refused`. Throws a `CellProblem` when the session has ended. */
  async tokenFor({ audience }: Cell, refused?: string): Promise<string> {
    const known = this.#tokens.get(audience);
    const isGood = known && known.expiresAt - renewBeforeMs > Date.now();
    if (isGood && known.token !== refused) return known.token;
    return this.#renewals.get(audience) ?? this.#beginRenewal(audience);
  }

  /** Ends the session here and at the issuer. */
  async signOut(): Promise<void> {
    const idToken = this.#kept?.idToken;
    this.#forget();
    // Without the issuer the session ends here at least.
    const discovery = await this.#discover().catch(() => undefined);
    const endpoint = discovery?.end_session_endpoint;
    if (endpoint === undefined || idToken === undefined) return;
    const url = new URL(endpoint);
    url.searchParams.set('id_token_hint', idToken);
    url.searchParams.set('client_id', this.#configuration.clientId);
    url.searchParams.set('post_logout_redirect_uri', `${location.origin}/`);
    location.assign(url.href);
  }

  #beginRenewal(audience: string): Promise<string> {
    const renewal = this.#exchanges
      .then(() => this.#renewed(audience))
      .finally(() => this.#renewals.delete(audience));
    this.#exchanges = renewal.catch(() => undefined);
    this.#renewals.set(audience, renewal);
    return renewal;
  }

  async #renewed(audience: string): Promise<string> {
    const kept = this.#kept;
    if (!kept) throw ended();
    const form = {
      grant_type: 'refresh_token',
      refresh_token: kept.refreshToken,
      resource: audience,
    };
    const answer = await this.#exchange(form).catch((error: unknown) => {
      const over = error instanceof CellProblem && error.problem.status === 401;
      if (over && this.#kept === kept)
        this.#forget('Your sign-in has ended. Please sign in again.');
      throw error;
    });
    // Whoever signed out while the issuer answered stays signed out, and nothing of the answer is kept.
    if (this.#kept !== kept) throw ended();
    if (answer.refresh_token !== undefined)
      this.#keep({ ...kept, refreshToken: answer.refresh_token });
    return this.#remember(audience, answer);
  }

  async #exchangeCode(code: string, pending: Pending): Promise<void> {
    const { issuer, clientId } = this.#configuration;
    const answer = await this.#exchange({
      grant_type: 'authorization_code',
      code,
      code_verifier: pending.verifier,
      redirect_uri: redirectUri(),
    });
    const { id_token: idToken, refresh_token: refreshToken } = answer;
    if (idToken === undefined || refreshToken === undefined)
      throw new Error('Cannot sign in: the issuer gave no refresh token');
    const claims = readIdToken(idToken, { issuer, clientId, nonce: pending.nonce });
    const name = claims.name ?? claims.sub;
    // Which cell this first access token is for is the issuer's choice, so it is not used.
    this.#keep({ refreshToken, idToken, name });
    this.#become({ signedIn: true, name });
  }

  async #exchange(form: Record<string, string>): Promise<z.output<typeof tokenAnswerSchema>> {
    const { token_endpoint: endpoint } = await this.#discover();
    const body = new URLSearchParams({ ...form, client_id: this.#configuration.clientId });
    const response = await askIssuer(endpoint, { method: 'POST', body });
    const answer: unknown = await response.json().catch(() => undefined);
    if (response.ok) return tokenAnswerSchema.parse(answer);
    const refused = tokenErrorSchema.safeParse(answer);
    if (refused.success && refused.data.error === 'invalid_grant') throw ended();
    throw refused.success && refused.data.error === 'invalid_target'
      ? noAccess()
      : issuerUnreachable();
  }

  #discover(): Promise<Discovery> {
    this.#discovery ??= discover(this.#configuration.issuer).catch((error: unknown) => {
      this.#discovery = undefined;
      throw error;
    });
    return this.#discovery;
  }

  #remember(audience: string, answer: z.output<typeof tokenAnswerSchema>): string {
    const expiresAt = Date.now() + answer.expires_in * 1000;
    this.#tokens.set(audience, { token: answer.access_token, expiresAt });
    return answer.access_token;
  }

  #keep(kept: Kept): void {
    this.#kept = kept;
    sessionStorage.setItem(keptKey, JSON.stringify(kept));
  }

  #forget(reason?: string): void {
    this.#kept = undefined;
    this.#tokens.clear();
    sessionStorage.removeItem(keptKey);
    this.#become(reason === undefined ? { signedIn: false } : { signedIn: false, reason });
  }

  #become(state: SessionState): void {
    this.#state = state;
    for (const listener of this.#listeners) listener();
  }
}

async function discover(issuer: string): Promise<Discovery> {
  const address = `${issuer.replace(/\/+$/, '')}/.well-known/openid-configuration`;
  const response = await askIssuer(address);
  if (!response.ok) throw issuerUnreachable();
  const discovery = discoverySchema.parse(await response.json());
  if (discovery.issuer !== issuer) throw issuerUnreachable();
  return discovery;
}

/** An issuer that hangs must not hold up everything that waits for a token. */
function askIssuer(address: string, request: RequestInit = {}): Promise<Response> {
  const signal = AbortSignal.timeout(issuerTimeoutMs);
  return fetch(address, { ...request, signal }).catch(() => {
    throw issuerUnreachable();
  });
}

function read<Schema extends z.ZodType>(key: string, schema: Schema): z.output<Schema> | undefined {
  const text = sessionStorage.getItem(key);
  if (text === null) return undefined;
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** Holds a lock as long as this page lives; false if another page holds it. */
function isHeld(name: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const asLongAsThePage = new Promise<never>(() => undefined);
  const signal = AbortSignal.timeout(claimMsMax);
  const hold = () => {
    resolve(true);
    return asLongAsThePage;
  };
  navigator.locks.request(name, { signal }, hold).catch(() => resolve(false));
  return promise;
}

function random(): string {
  return encodeBase64Url(crypto.getRandomValues(new Uint8Array(32)));
}

function redirectUri(): string {
  return `${location.origin}/callback`;
}

function ended(): CellProblem {
  return new CellProblem({
    title: 'Your sign-in has ended',
    detail: 'Sign in again to go on.',
    retriable: false,
    status: 401,
  });
}

function noAccess(): CellProblem {
  return new CellProblem({
    title: 'Your account does not reach this country',
    detail: 'Ask whoever manages your accounts if it should.',
    retriable: false,
    status: 403,
  });
}

function issuerUnreachable(): CellProblem {
  return new CellProblem({
    title: 'The identity provider does not answer',
    detail: 'Nobody can sign in while it is away. Try again in a moment.',
    retriable: true,
  });
}

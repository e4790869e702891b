import { z } from 'zod';

/** Authorization code with PKCE (RFC 7636) and one access token a cell (RFC 8707), as pure steps. */

export const discoverySchema = z.object({
  issuer: z.string(),
  authorization_endpoint: z.url(),
  token_endpoint: z.url(),
  end_session_endpoint: z.url().optional(),
});

export type Discovery = z.output<typeof discoverySchema>;

export const tokenAnswerSchema = z.object({
  access_token: z.string(),
  expires_in: z.number().default(60),
  refresh_token: z.string().optional(),
  id_token: z.string().optional(),
});

export const tokenErrorSchema = z.object({
  error: z.string(),
  error_description: z.string().optional(),
});

/** What is remembered between leaving for the issuer and coming back. */
export const pendingSchema = z.object({
  state: z.string(),
  nonce: z.string(),
  verifier: z.string(),
  returnTo: z.string(),
});

export type Pending = z.output<typeof pendingSchema>;

const idClaimsSchema = z.object({
  iss: z.string(),
  aud: z.union([z.string(), z.array(z.string())]),
  sub: z.string(),
  nonce: z.string().optional(),
  name: z.string().optional(),
});

export type IdClaims = z.output<typeof idClaimsSchema>;

export const scope = 'openid offline_access summary:read';

export interface AuthorizationRequest {
  readonly endpoint: string;
  readonly clientId: string;
  readonly redirectUri: string;
  readonly audiences: readonly string[];
  readonly challenge: string;
  readonly pending: Pending;
}

/** The address to go to. All cells are asked for at once, so that one sign-in opens all of them. */
export function authorizationUrl(request: AuthorizationRequest): string {
  const url = new URL(request.endpoint);
  const parameters = {
    response_type: 'code',
    client_id: request.clientId,
    redirect_uri: request.redirectUri,
    scope,
    state: request.pending.state,
    nonce: request.pending.nonce,
    code_challenge: request.challenge,
    code_challenge_method: 'S256',
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  for (const audience of request.audiences) url.searchParams.append('resource', audience);
  return url.href;
}

export type Callback =
  | { readonly kind: 'code'; readonly code: string }
  | { readonly kind: 'refused'; readonly reason: string };

/** Reads what the issuer sent back. An answer that this tab did not ask for is refused. */
export function readCallback(
  search: string,
  pending: Pending | undefined,
  issuer: string,
): Callback {
  const parameters = new URLSearchParams(search);
  const code = parameters.get('code');
  if (!pending || parameters.get('state') !== pending.state)
    return { kind: 'refused', reason: 'This sign-in was begun elsewhere. Please sign in again.' };
  const from = parameters.get('iss');
  if (from !== null && from !== issuer)
    return { kind: 'refused', reason: 'The answer came from another identity provider.' };
  if (code !== null) return { kind: 'code', code };
  const description = parameters.get('error_description') ?? parameters.get('error');
  return { kind: 'refused', reason: description ?? 'The identity provider gave no answer.' };
}

/**
 * The claims of an ID token that came from the token endpoint itself: its origin vouches for it (OpenID
 * Connect Core, 3.1.3.7), so issuer, audience and nonce are checked and the signature is not.
 * Throws an Error where they do not fit.
 */
export function readIdToken(
  token: string,
  expected: { issuer: string; clientId: string; nonce: string },
): IdClaims {
  const claims = idClaimsSchema.parse(JSON.parse(decodeBase64Url(token.split('.')[1] ?? '')));
  const fits =
    claims.iss === expected.issuer &&
    [claims.aud].flat().includes(expected.clientId) &&
    claims.nonce === expected.nonce;
  if (!fits) throw new Error('Cannot sign in: the ID token was issued for something else');
  return claims;
}

export function encodeBase64Url(bytes: Uint8Array): string {
  const text = String.fromCodePoint(...bytes);
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

function decodeBase64Url(text: string): string {
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return new TextDecoder().decode(Uint8Array.from(binary, (char) => char.codePointAt(0) ?? 0));
}

import { audienceOf } from '@domicile/core/residency.ts';
import { scopes } from '@domicile/runtime/claims.ts';
import { type Configuration, errors, type KoaContextWithOIDC, Provider } from 'oidc-provider';
import type { IdentityConfig } from './config.ts';
import type { Events } from './events.ts';
import type { Keys } from './keys.ts';
import { logoutPage, messagePage } from './model/page.ts';
import type { Storage } from './storage.ts';
import type { FindUser, User } from './users.ts';

/** The web app: public, so it has no secret and must use PKCE. */
export const webClient = 'domicile-web';

export interface ProviderParts {
  readonly config: IdentityConfig;
  readonly keys: Keys;
  readonly storage: Storage;
  readonly findUser: FindUser;
  readonly events: Events;
}

/** OpenID Connect as the certified library has it, cut down to one first-party client and one audience a cell. */
export function createProvider(parts: ProviderParts): Provider {
  const { config, events } = parts;
  const provider = new Provider(config.IDENTITY_ISSUER, {
    ...clientConfiguration(config),
    ...accountConfiguration(parts),
    ...lifetimes(config),
    adapter: parts.storage.adapter,
    jwks: { keys: parts.keys.signing.map((key) => ({ ...key })) },
    cookies: {
      keys: parts.keys.cookies,
      names: {
        session: 'domicile_session',
        interaction: 'domicile_log_in',
        resume: 'domicile_resume',
      },
    },
    features: {
      devInteractions: { enabled: false },
      userinfo: { enabled: false },
      dPoP: { enabled: false },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx, form) => html(ctx, logoutPage(form)),
        postLogoutSuccessSource: (ctx) =>
          html(ctx, messagePage('Signed out', 'You have signed out. You may close this page.')),
      },
      resourceIndicators: resourceIndicators(parts),
    },
    renderError: (ctx, out) =>
      html(ctx, messagePage('This did not work', out.error_description ?? out.error)),
  });
  provider.proxy = config.IDENTITY_TRUST_PROXY;
  provider.on('server_error', (_ctx, error) => events.failed(error));
  provider.on('access_token.issued', ({ aud }) => events.tokenIssued([aud].flat().join(' ')));
  return provider;
}

function clientConfiguration(config: IdentityConfig): Configuration {
  const origins = new Set(config.IDENTITY_REDIRECT_URIS.map((uri) => new URL(uri).origin));
  return {
    clients: [
      {
        client_id: webClient,
        client_name: 'Domicile',
        application_type: 'web',
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        redirect_uris: config.IDENTITY_REDIRECT_URIS,
        post_logout_redirect_uris: config.IDENTITY_LOGOUT_URIS,
        id_token_signed_response_alg: 'ES256',
      },
    ],
    clientBasedCORS: (_ctx, origin) => origins.has(origin),
    responseTypes: ['code'],
    scopes: ['openid', 'offline_access'],
    pkce: { required: () => true },
    enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
    allowOmittingSingleRegisteredRedirectUri: false,
    rotateRefreshToken: true,
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    expiresWithSession: () => false,
  };
}

function accountConfiguration({ findUser }: ProviderParts): Configuration {
  return {
    async findAccount(_ctx, sub) {
      const user = await findUser(sub);
      return user && { accountId: user.user, user, claims: () => ({ sub: user.user }) };
    },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    loadExistingGrant: (ctx) => grantOf(ctx, findUser),
    extraTokenClaims: async (_ctx, token) => {
      const user = 'accountId' in token && (await findUser(token.accountId));
      if (!user) return undefined;
      return { client: user.client, ...(user.buildings && { buildings: user.buildings }) };
    },
  };
}

/**
 * Consent is not asked for: the client is our own. The grant is what the user's entry says, made anew at each
 * log-in; what was asked beyond it counts as refused.
 */
async function grantOf(ctx: KoaContextWithOIDC, findUser: FindUser) {
  const { client, session, provider, params, resourceServers } = ctx.oidc;
  const user = session?.accountId ? await findUser(session.accountId) : undefined;
  if (!client || !user) return undefined;
  const grant = new provider.Grant({ clientId: client.clientId, accountId: user.user });
  grant.addOIDCScope('openid offline_access');
  const asked = String(params?.['scope']).split(' ');
  for (const resource of Object.keys(resourceServers ?? {})) {
    const granted = mayAsk(user, resource) ? user.scopes : [];
    grant.addResourceScope(resource, granted.join(' '));
    const refused = scopes.filter((scope) => asked.includes(scope) && !granted.includes(scope));
    grant.rejectResourceScope(resource, refused.join(' '));
  }
  await grant.save();
  return grant;
}

function mayAsk(user: User, resource: string): boolean {
  return user.countries.some((country) => audienceOf(country) === resource);
}

type ResourceIndicators = NonNullable<NonNullable<Configuration['features']>['resourceIndicators']>;

/** RFC 8707: one audience is one cell; a log-in may name several, a token is for one. */
function resourceIndicators({ config, findUser }: ProviderParts): ResourceIndicators {
  const audiences = config.IDENTITY_COUNTRIES.map(audienceOf);
  return {
    enabled: true,
    defaultResource: async (ctx, _client, oneOf) => {
      if (!oneOf) return [...audiences];
      const user = await findUser(`${ctx.oidc.account?.accountId}`);
      return [oneOf].flat().find((one) => user && mayAsk(user, one)) ?? [oneOf].flat()[0] ?? '';
    },
    getResourceServerInfo: async (ctx, resource) => {
      if (!audiences.includes(resource)) throw new errors.InvalidTarget();
      if (ctx.oidc.route === 'token') {
        const user = await findUser(`${ctx.oidc.account?.accountId}`);
        if (!user || !mayAsk(user, resource)) throw new errors.InvalidTarget();
      }
      return {
        scope: scopes.join(' '),
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: Math.ceil(config.IDENTITY_ACCESS_TOKEN_MS / 1000),
        jwt: { sign: { alg: 'ES256' } },
      };
    },
  };
}

function lifetimes(config: IdentityConfig): Configuration {
  const session = Math.ceil(config.IDENTITY_SESSION_MS / 1000);
  return {
    ttl: {
      AccessToken: Math.ceil(config.IDENTITY_ACCESS_TOKEN_MS / 1000),
      AuthorizationCode: 60,
      Grant: session,
      IdToken: 3600,
      Interaction: 1800,
      RefreshToken: session,
      Session: session,
    },
  };
}

function html(ctx: KoaContextWithOIDC, body: string): void {
  ctx.type = 'html';
  ctx.body = body;
}

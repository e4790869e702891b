import type { CountryCode } from '@domicile/core/countries.ts';
import { audienceOf } from '@domicile/core/residency.ts';
import { type Claims, claimsOf } from '@domicile/runtime/claims.ts';
import jwt from 'jsonwebtoken';
import { z } from 'zod';
import type { KeySet } from './key-set.ts';

/** Why a token is refused; goes to the log and the metrics, and in words to its owner. */
export type Refusal = 'malformed' | 'algorithm' | 'key' | 'signature' | 'expired' | 'claims';

export type Judgement = { readonly claims: Claims } | { readonly refusal: Refusal };

export interface TokenJudge {
  /** Throws `UPSTREAM_UNAVAILABLE` while there are no keys to judge by. */
  judge(token: string): Promise<Judgement>;
}

const algorithms = ['RS256', 'ES256'] as const;
const tokenCharsMax = 8_192;
const clockToleranceSeconds = 5;

const head = z.object({
  alg: z.string(),
  kid: z.string().min(1).max(200),
  crit: z.undefined().optional(),
});

export interface JudgeParts {
  readonly keys: KeySet;
  readonly issuer: string;
  readonly country: CountryCode;
}

/**
 * Signature by the issuer's published key and by an allowed algorithm, then issuer, audience (this cell
 * and no other), times and our own claims. RFC 8725 says what goes wrong otherwise.
 */
export function tokenJudge({ keys, issuer, country }: JudgeParts): TokenJudge {
  const audience = audienceOf(country);
  return {
    async judge(token) {
      const { alg, kid } = headOf(token);
      if (alg === undefined || kid === undefined) return { refusal: 'malformed' };
      if (!algorithms.some((one) => one === alg)) return { refusal: 'algorithm' };
      const key = await keys.keyOf(kid);
      if (!key) return { refusal: 'key' };
      try {
        const payload = jwt.verify(token, key, {
          algorithms: [...algorithms],
          issuer,
          audience,
          clockTolerance: clockToleranceSeconds,
        });
        // A token for two cells would be one that either could use at the other.
        if (typeof payload === 'string' || payload.aud !== audience) return { refusal: 'claims' };
        const claims = claimsOf(payload);
        return claims ? { claims } : { refusal: 'claims' };
      } catch (error) {
        return { refusal: refusalOf(error) };
      }
    },
  };
}

/** How long a token that was believed is believed without judging its signature again. */
const rememberedMs = 30_000;
const rememberedMax = 10_000;

/** Judges each token once in a while. What was refused is judged every time; an end is kept to the second. */
export function rememberingJudge(judge: TokenJudge, now = Date.now): TokenJudge {
  const believed = new Map<string, { readonly claims: Claims; readonly until: number }>();
  return {
    async judge(token) {
      const known = believed.get(token);
      if (known && known.until > now()) return { claims: known.claims };
      believed.delete(token);
      const judgement = await judge.judge(token);
      if ('refusal' in judgement) return judgement;
      const { claims } = judgement;
      const until = Math.min(now() + rememberedMs, claims.expiresAt * 1000);
      believed.set(token, { claims, until });
      for (const oldest of believed.keys()) {
        if (believed.size <= rememberedMax) break;
        believed.delete(oldest);
      }
      return judgement;
    },
  };
}

function headOf(token: string): { alg?: string; kid?: string } {
  const [first = ''] = token.split('.', 1);
  if (token.length > tokenCharsMax || first.length > 1_024) return {};
  try {
    return head.safeParse(JSON.parse(Buffer.from(first, 'base64url').toString())).data ?? {};
  } catch {
    return {};
  }
}

/** Total: what the library throws, as ours. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof jwt.TokenExpiredError) return 'expired';
  if (error instanceof jwt.NotBeforeError) return 'claims';
  if (!(error instanceof jwt.JsonWebTokenError)) return 'malformed';
  if (/issuer|audience/.test(error.message)) return 'claims';
  return error.message === 'invalid signature' ? 'signature' : 'malformed';
}

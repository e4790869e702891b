import { PlatformError } from '@domicile/core/errors.ts';
import type { Claims } from '@domicile/runtime/claims.ts';
import type { Request, Response } from 'express';
import type { FindApiKey } from './api-keys.ts';
import type { Events } from './events.ts';
import { Limits } from './model/limits.ts';
import type { Refusal, TokenJudge } from './tokens.ts';

/** Throws `UNAUTHENTICATED`, or `RATE_LIMITED` for an address that shows too many bad credentials. */
export type Authenticate = (request: Request, response: Response) => Promise<Claims>;

export interface AuthenticateParts {
  readonly judge: TokenJudge;
  readonly findApiKey: FindApiKey;
  readonly failuresPerWindow: number;
  readonly windowMs: number;
  readonly events: Events;
}

type Outcome =
  | { readonly claims: Claims }
  | { readonly refusal: Refusal | 'absent' | 'api-key' | 'ambiguous' };

const addressesMax = 50_000;

const words: Readonly<Record<Refusal | 'absent' | 'api-key' | 'ambiguous', string>> = {
  absent: 'a token or an API key is needed',
  ambiguous: 'a token or an API key is needed, not both',
  'api-key': 'the API key is not known or has expired',
  malformed: 'the token cannot be read',
  algorithm: 'the token is signed by an algorithm that is not taken here',
  key: 'the token is signed by a key that its issuer has not published',
  signature: 'the signature of the token is wrong',
  expired: 'the token has expired',
  claims: 'the token is not for this cell, or lacks a claim',
};

export function authenticator(parts: AuthenticateParts): Authenticate {
  const { events, failuresPerWindow: requests, windowMs } = parts;
  const failures = new Limits({ requests, windowMs, subjectsMax: addressesMax });
  return async (request, response) => {
    const address = request.socket.remoteAddress ?? 'unknown';
    const outcome = await outcomeOf(parts, request);
    if ('claims' in outcome) return outcome.claims;
    const { refusal } = outcome;
    events.credentialRefused(refusal);
    const { isAdmitted, resetMs } = failures.admit(address, performance.now());
    if (!isAdmitted) {
      events.limited('failures');
      response.setHeader('Retry-After', Math.max(1, Math.ceil(resetMs / 1000)));
      throw new PlatformError('RATE_LIMITED', 'Cannot answer now: too many refused credentials');
    }
    const fault = refusal === 'absent' ? '' : ' error="invalid_token"';
    response.setHeader('WWW-Authenticate', `Bearer${fault}`);
    throw new PlatformError('UNAUTHENTICATED', `Cannot answer: ${words[refusal]}`);
  };
}

async function outcomeOf(parts: AuthenticateParts, request: Request): Promise<Outcome> {
  const { authorization, 'x-api-key': apiKey } = request.headers;
  if (authorization !== undefined && apiKey !== undefined) return { refusal: 'ambiguous' };
  if (typeof apiKey === 'string') {
    const claims = await parts.findApiKey(apiKey, Date.now());
    return claims ? { claims } : { refusal: 'api-key' };
  }
  if (authorization === undefined) return { refusal: 'absent' };
  const [, token] = /^Bearer +([\w.~+/-]+=*)$/i.exec(authorization) ?? [];
  if (token === undefined) return { refusal: 'malformed' };
  return parts.judge.judge(token);
}

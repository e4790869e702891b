import { AnswerCache } from '../http/answer-cache.ts';
import { AccountBook } from '../model/account-book.ts';
import { LatestBook } from '../model/latest-book.ts';
import { RegistryBook } from '../model/registry-book.ts';
import { StatusBook } from '../model/status-book.ts';
import { SummaryTail } from '../model/summary-tail.ts';
import type { LiveHub } from './live-hub.ts';
import type { ServingLayer } from './serving-layer.ts';

/** All that the serving API knows: what the streams said, and the serving layer. */
export interface ServingView {
  readonly registry: RegistryBook;
  readonly latest: LatestBook;
  readonly account: AccountBook;
  readonly statuses: StatusBook;
  readonly tail: SummaryTail;
  readonly hub: LiveHub;
  readonly layer: ServingLayer;
  readonly answers: AnswerCache;
}

/** Ready answers kept, unless told otherwise. */
const answersBytesDefault = 64 * 1024 * 1024;

export function emptyView(
  hub: LiveHub,
  layer: ServingLayer,
  answersBytesMax = answersBytesDefault,
): ServingView {
  return {
    registry: new RegistryBook(),
    latest: new LatestBook(),
    account: new AccountBook(),
    statuses: new StatusBook(),
    tail: new SummaryTail(),
    hub,
    layer,
    answers: new AnswerCache(answersBytesMax),
  };
}

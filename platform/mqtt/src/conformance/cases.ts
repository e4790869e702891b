import type { Case } from './bench.ts';
import { connectCases } from './cases/connect.ts';
import { endingCases } from './cases/ending.ts';
import { publishCases } from './cases/publish.ts';
import { qualityCases } from './cases/quality.ts';
import { retainedCases } from './cases/retained.ts';
import { sessionCases } from './cases/session.ts';
import { sharedCases } from './cases/shared.ts';
import { subscribeCases } from './cases/subscribe.ts';
import { topicCases } from './cases/topics.ts';
import { willCases } from './cases/will.ts';

export const allCases: readonly Case[] = [
  ...connectCases,
  ...sessionCases,
  ...willCases,
  ...publishCases,
  ...qualityCases,
  ...retainedCases,
  ...subscribeCases,
  ...topicCases,
  ...sharedCases,
  ...endingCases,
];

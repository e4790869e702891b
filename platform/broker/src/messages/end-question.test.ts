import { expect, test } from 'vitest';
import { EndQuestion } from './end-question.ts';

test('who asks while a question is under way gets an answer that was begun later, with all others who wait', async () => {
  const asked: PromiseWithResolvers<readonly bigint[]>[] = [];
  const question = new EndQuestion(() => {
    const answer = Promise.withResolvers<readonly bigint[]>();
    asked.push(answer);
    return answer.promise;
  });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const first = question.ask(['t']);
  await turn();
  const later = [question.ask(['t']), question.ask(['t'])];
  await turn();
  expect(asked.length).toBe(1);
  asked[0]?.resolve([1n]);
  expect((await first).get('t')).toEqual([1n]);
  await turn();
  expect(asked.length).toBe(2);
  asked[1]?.resolve([2n]);
  expect((await Promise.all(later)).map((ends) => ends.get('t'))).toEqual([[2n], [2n]]);
});

test('a question that failed is not the answer of the next', async () => {
  let failing = true;
  const question = new EndQuestion(async () => {
    await Promise.resolve();
    if (failing) throw new Error('away');
    return [3n];
  });
  await expect(question.ask(['t'])).rejects.toThrow('away');
  failing = false;
  expect((await question.ask(['t'])).get('t')).toEqual([3n]);
});

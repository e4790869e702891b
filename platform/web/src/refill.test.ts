import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { CellProblem, problemOf } from './model/problem.ts';
import { refiller } from './refill.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** A cell whose answers are given when a test says so. */
function asked() {
  const questions: PromiseWithResolvers<string>[] = [];
  const told: string[] = [];
  const leaving = new AbortController();
  const refill = refiller(
    () => {
      const question = Promise.withResolvers<string>();
      questions.push(question);
      return question.promise;
    },
    {
      onAnswer: (answer) => told.push(answer),
      onProblem: ({ status }) => told.push(`problem ${status}`),
      signal: leaving.signal,
    },
  );
  return { questions, told, leaving, refill };
}

const refusal = (status: number) => new CellProblem(problemOf(status, undefined, 'The cell'));

test('what fails for a while is asked again until it is answered', async () => {
  const { questions, told, refill } = asked();
  refill();
  for (const status of [503, 429]) {
    questions.at(-1)?.reject(refusal(status));
    await vi.advanceTimersByTimeAsync(60_000);
  }
  questions.at(-1)?.resolve('all');
  await vi.advanceTimersByTimeAsync(60_000);
  expect(told).toEqual(['problem 503', 'problem 429', 'all']);
  expect(questions).toHaveLength(3);
});

test('what cannot be answered is told and not asked again', async () => {
  const { questions, told, refill } = asked();
  refill();
  questions[0]?.reject(refusal(403));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(told).toEqual(['problem 403']);
  expect(questions).toHaveLength(1);
});

test('who asks anew takes over: what was asked before tells nothing any more', async () => {
  const { questions, told, refill } = asked();
  refill();
  refill();
  questions[1]?.resolve('newer');
  await vi.advanceTimersByTimeAsync(0);
  questions[0]?.reject(refusal(503));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(told).toEqual(['newer']);
  expect(questions).toHaveLength(2);
});

test('nothing is asked or told once the page has left', async () => {
  const { questions, told, leaving, refill } = asked();
  refill();
  questions[0]?.reject(refusal(503));
  await vi.advanceTimersByTimeAsync(10);
  leaving.abort();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(told).toEqual(['problem 503']);
  expect(questions).toHaveLength(1);
});

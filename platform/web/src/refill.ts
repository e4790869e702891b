import { reconnectDelayMs } from './model/event-stream.ts';
import { problemFrom, type Problem } from './model/problem.ts';
import { pause } from './pause.ts';

interface Filling<Answer> {
  readonly onAnswer: (answer: Answer) => void;
  readonly onProblem: (problem: Problem) => void;
  readonly signal: AbortSignal;
}

/**
 * Gives a function that asks for everything, again and again while that may help; calling it anew takes over from what is
 * under way. Nothing is told after the signal. Never throws.
 */
export function refiller<Answer>(
  ask: (signal: AbortSignal) => Promise<Answer>,
  { onAnswer, onProblem, signal }: Filling<Answer>,
): () => void {
  let takingOver = new AbortController();
  const fill = async (until: AbortSignal) => {
    for (let failures = 0; !until.aborted; failures += 1) {
      const problem = await ask(until).then(
        (answer) => void (until.aborted || onAnswer(answer)),
        (error: unknown) => problemFrom(error),
      );
      if (!problem || until.aborted) return;
      onProblem(problem);
      if (!problem.retriable) return;
      await pause(reconnectDelayMs(failures, Math.random()), until);
    }
  };
  return () => {
    takingOver.abort();
    takingOver = new AbortController();
    void fill(AbortSignal.any([signal, takingOver.signal]));
  };
}

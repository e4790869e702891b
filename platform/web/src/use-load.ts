import { useCallback, useEffect, useEffectEvent, useState } from 'react';
import { problemFrom, type Problem } from './model/problem.ts';

export interface Loaded<Value> {
  /** What there is to show; it stays while a newer one is fetched. */
  readonly value: Value | undefined;
  readonly problem: Problem | undefined;
  readonly loading: boolean;
  readonly retry: () => void;
}

interface Outcome<Value> {
  readonly key: string;
  readonly value?: Value;
  readonly problem?: Problem;
  readonly attempt: number;
}

/**
 * Loads for a key, again for another key, and quietly every `refreshMs`. Of an earlier key nothing is shown, unless
 * `keep` says that it may stand until the new one is there.
 */
export function useLoad<Value>(
  key: string,
  load: (signal: AbortSignal) => Promise<Value>,
  { refreshMs, keep = false }: { refreshMs?: number; keep?: boolean } = {},
): Loaded<Value> {
  const [attempt, setAttempt] = useState(0);
  const [outcome, setOutcome] = useState<Outcome<Value>>({ key: '', attempt: -1 });
  const ask = useEffectEvent(load);
  const retry = useCallback(() => setAttempt((number) => number + 1), []);

  useEffect(() => {
    const leaving = new AbortController();
    ask(leaving.signal).then(
      (value) => leaving.signal.aborted || setOutcome({ key, value, attempt }),
      (error: unknown) => {
        if (leaving.signal.aborted) return;
        const problem = problemFrom(error);
        setOutcome((before) => ({
          ...(before.key === key && before.value !== undefined && { value: before.value }),
          key,
          problem,
          attempt,
        }));
      },
    );
    return () => leaving.abort();
  }, [key, attempt]);

  useEffect(() => {
    if (refreshMs === undefined) return undefined;
    const timer = setInterval(() => document.hidden || retry(), refreshMs);
    return () => clearInterval(timer);
  }, [refreshMs, retry]);

  const current = outcome.key === key;
  return {
    value: current || keep ? outcome.value : undefined,
    problem: current ? outcome.problem : undefined,
    loading: !current || outcome.attempt !== attempt,
    retry,
  };
}

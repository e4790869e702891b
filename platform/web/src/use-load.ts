import { useCallback, useEffect, useEffectEvent, useRef, useState } from 'react';
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
 * Loads for a key, again for another key, and quietly every `refreshMs` unless an answer is awaited. Of an earlier key nothing is shown, unless
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

  const isAsking = useRef(false);

  useEffect(() => {
    const leaving = new AbortController();
    const take = (taken: (before: Outcome<Value>) => Outcome<Value>) => {
      if (leaving.signal.aborted) return;
      isAsking.current = false;
      setOutcome(taken);
    };
    isAsking.current = true;
    ask(leaving.signal).then(
      (value) => take(() => ({ key, value, attempt })),
      (error: unknown) =>
        take((before) => ({
          ...(before.key === key && before.value !== undefined && { value: before.value }),
          key,
          problem: problemFrom(error),
          attempt,
        })),
    );
    return () => leaving.abort();
  }, [key, attempt]);

  useEffect(() => {
    if (refreshMs === undefined) return undefined;
    // Asking anew would end what is under way: an answer that takes longer than this would never come.
    const refresh = () => document.hidden || isAsking.current || retry();
    const timer = setInterval(refresh, refreshMs);
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

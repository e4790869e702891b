import { useEffect, useEffectEvent, useState } from 'react';
import type { CellClient } from './cell-client.ts';
import { followLive, type LiveState } from './live-stream.ts';
import type { SummaryRow } from './model/answers.ts';
import { withNewest, type Points } from './model/latest.ts';
import type { Problem } from './model/problem.ts';
import { refiller } from './refill.ts';

export interface Live {
  readonly points: Points;
  readonly state: LiveState;
  /** When the last value came in by the stream, milliseconds since 1970. */
  readonly heardAt: number | undefined;
  readonly tookMs: number | undefined;
  readonly problem: Problem | undefined;
  /** The newest windows that came by the stream. */
  readonly summaries: readonly SummaryRow[];
}

const nothing: Live = {
  points: new Map(),
  state: 'connecting',
  heardAt: undefined,
  tookMs: undefined,
  problem: undefined,
  summaries: [],
};

/** Windows are kept no longer than a chart needs to catch up by asking. */
const summariesMax = 500;

/** A building's newest values; a component that shows another building is another component: `/latest` whenever the stream begins anew, then the stream. */
export function useLive(
  client: CellClient,
  building: string,
  wants: (row: SummaryRow) => boolean,
): Live {
  const [live, setLive] = useState(nothing);
  const isWanted = useEffectEvent(wants);

  useEffect(() => {
    const leaving = new AbortController();
    const { signal } = leaving;
    const update = (change: (before: Live) => Partial<Live>) =>
      signal.aborted || setLive((before) => ({ ...before, ...change(before) }));

    let filled = false;
    const askAll = refiller((until) => client.latest(building, until), {
      onAnswer: ({ value, tookMs }) =>
        update(({ points }) => ({ points: withNewest(points, value), tookMs, problem: undefined })),
      onProblem: (problem) => update(() => ({ problem })),
      signal,
    });
    const refill = () => {
      filled = true;
      askAll();
    };

    const listener = {
      onState(state: LiveState) {
        update(() => ({ state }));
        // What there is can be shown without a stream.
        if (!filled && state !== 'live') refill();
      },
      onReset: refill,
      onLatest: (rows: Parameters<typeof withNewest>[1]) =>
        update(({ points }) => ({ points: withNewest(points, rows), heardAt: Date.now() })),
      onSummaries(rows: readonly SummaryRow[]) {
        const wanted = rows.filter(isWanted);
        if (wanted.length > 0)
          update(({ summaries }) => ({
            summaries: [...summaries, ...wanted].slice(-summariesMax),
          }));
      },
    };
    void followLive(client, building, { listener, signal });
    return () => leaving.abort();
  }, [client, building]);

  return live;
}

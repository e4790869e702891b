import { useMemo } from 'react';
import type { CellClient } from '../cell-client.ts';
import type { BuildingPlan, SummaryRow } from '../model/answers.ts';
import { metricTitle } from '../model/figures.ts';
import { isOf, type Choice } from '../model/plan.ts';
import type { View } from '../model/route.ts';
import type { Shown } from '../model/shown.ts';
import { dayAndTime, zoneName } from '../model/time.ts';
import { intervalMs, intervalNames, spanOf } from '../model/window.ts';
import { Answered } from '../parts/answered.tsx';
import { Empty, Failure, Loading } from '../parts/states.tsx';
import type { Live } from '../use-live.ts';
import { useLoad } from '../use-load.ts';
import { useNow } from '../use-now.ts';
import { BandChart } from './band-chart.tsx';
import { ChartTable } from './chart-table.tsx';
import { HistoryPickers } from './history-pickers.tsx';

interface Properties {
  readonly plan: BuildingPlan;
  readonly client: CellClient;
  readonly live: Live;
  readonly view: View;
  readonly choice: Choice;
}

const nowEveryMs = 15_000;
const refreshMs = 60_000;

export function HistorySection({ plan, client, live, view, choice }: Properties) {
  const now = useNow(nowEveryMs);
  const zone = plan.timeZone;
  const span = spanOf(view, now, zone);
  const key = JSON.stringify([choice.level, choice.target.id, choice.metric, span]);
  const { value, problem, loading, retry } = useLoad(
    key,
    async (signal) => {
      const { level, metric, target } = choice;
      const query = { ...span, building: plan.id, level, metric, id: target.id };
      const answer = await client.summaries(query, signal);
      return { choice, span, zone, rows: answer.value, tookMs: answer.tookMs };
    },
    { refreshMs, keep: true },
  );

  const shown = useMemo(
    () => value && { ...value, rows: withLive(value, live.summaries) },
    [value, live.summaries],
  );

  return (
    <section className="panel" aria-labelledby="history-title">
      <div className="panel-title">
        <h2 id="history-title">Over time</h2>
        {value && <Answered cell={client.cell} tookMs={value.tookMs} />}
      </div>
      <HistoryPickers plan={plan} view={view} choice={choice} span={span} />
      {problem && <Failure problem={problem} retry={retry} />}
      {!value && !problem && <Loading what="the chart" lines={6} />}
      {shown && (
        <div className={loading ? 'chart-area stale' : 'chart-area'} aria-busy={loading}>
          <History shown={shown} />
        </div>
      )}
    </section>
  );
}

function History({ shown }: { readonly shown: Shown }) {
  const { choice, span, rows, zone } = shown;
  const title = `${metricTitle(choice.metric)}, ${choice.target.label}`;
  return (
    <>
      <p className="chart-title">
        <strong>{title}</strong>
        <span>
          {dayAndTime(span.from, zone)} to {dayAndTime(span.to, zone)} in {zoneName(zone, span.to)},
          each point {intervalNames[span.interval]}
        </span>
      </p>
      {rows.length === 0 ? (
        <Empty title="Nothing was measured in this time">
          Choose a longer range, step to an earlier one, or choose another room.
        </Empty>
      ) : (
        <>
          <BandChart title={title} shown={shown} />
          <ChartTable title={title} shown={shown} />
        </>
      )}
    </>
  );
}

/** What the stream brought of the same windows since the cell was asked. */
function withLive(shown: Shown, summaries: readonly SummaryRow[]): readonly SummaryRow[] {
  const { choice, span, rows } = shown;
  const newer = summaries.filter((row) => {
    const start = Date.parse(row.windowStart);
    return (
      isOf(row, choice) &&
      Date.parse(row.windowEnd) - start === intervalMs[span.interval] &&
      start >= span.from &&
      start < span.to
    );
  });
  return newer.length === 0 ? rows : [...rows, ...newer];
}

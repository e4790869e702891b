import { useCallback, useEffect, useMemo, useState } from 'react';
import { shareWords } from '../model/figures.ts';
import { seriesOf } from '../model/series.ts';
import { overallWords, pointWords, type Shown } from '../model/shown.ts';
import { drawChart, type Chart } from './draw-chart.ts';

interface Properties {
  readonly title: string;
  readonly shown: Shown;
}

/** The average as a line in the band between minimum and maximum, with a slider that reads it point by point. */
export function BandChart({ title, shown }: Properties) {
  const [chart, setChart] = useState<Chart>();
  const [index, setIndex] = useState<number>();
  const { span, rows, zone } = shown;
  const { metric } = shown.choice;
  const unit = rows[0]?.unit ?? null;
  const series = useMemo(() => seriesOf(rows), [rows]);

  const attach = useCallback(
    (box: HTMLDivElement) => {
      const drawn = drawChart(box, { metric, unit, zone, onPoint: setIndex });
      setChart(drawn);
      return () => drawn.destroy();
    },
    [metric, unit, zone],
  );
  useEffect(() => chart?.show(series, span), [chart, series, span]);

  const last = series.starts.length - 1;
  const point = index === undefined ? undefined : Math.min(index, last);
  const words = point === undefined ? overallWords(shown) : pointWords(shown, series, point);
  const read = (to: number) => {
    setIndex(to);
    chart?.point(to);
  };

  return (
    <figure className="chart">
      <figcaption className="chart-reading">{words}</figcaption>
      <div ref={attach} className="chart-box" />
      <input
        type="range"
        className="chart-slider"
        aria-label={`${title}, read point by point`}
        aria-valuetext={words}
        min={0}
        max={last}
        value={point ?? last}
        onChange={(event) => read(event.target.valueAsNumber)}
        onFocus={() => read(point ?? last)}
        onBlur={() => {
          setIndex(undefined);
          chart?.point(undefined);
        }}
      />
      <Legend metric={metric} />
    </figure>
  );
}

function Legend({ metric }: { readonly metric: string }) {
  const share = shareWords(metric);
  return (
    <p className="chart-legend" aria-hidden="true">
      <span className="legend-line">{share === '' ? 'average' : `share ${share}`}</span>
      {share === '' && <span className="legend-band">lowest to highest</span>}
    </p>
  );
}

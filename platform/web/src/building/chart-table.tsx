import { useState } from 'react';
import { csvOf } from '../model/csv.ts';
import { countText, figureText, isState, shareWords, summaryFigure } from '../model/figures.ts';
import { newestRevisions } from '../model/series.ts';
import type { Shown } from '../model/shown.ts';
import { clockTime, dayAndTime, shortDay } from '../model/time.ts';
import { ScrollArea } from '../parts/scroll-area.tsx';

interface Properties {
  readonly title: string;
  readonly shown: Shown;
}

/** The same figures as the chart: as a table, newest first, and as a file. */
export function ChartTable({ title, shown }: Properties) {
  const [open, setOpen] = useState(false);
  return (
    <div className="chart-figures">
      <details className="chart-table" onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>The chart as a table</summary>
        {open && (
          <ScrollArea label={`${title}, as a table`}>
            <Table title={title} shown={shown} />
          </ScrollArea>
        )}
      </details>
      <button type="button" className="quiet" onClick={() => download(shown)}>
        Download as CSV
      </button>
    </div>
  );
}

/** Made from what the page has already: nothing is asked for, nobody else learns of it. */
function download({ rows, choice, span }: Shown): void {
  const url = URL.createObjectURL(new Blob([csvOf(rows)], { type: 'text/csv' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = `${choice.target.id}-${choice.metric}-${span.interval}.csv`;
  link.click();
  URL.revokeObjectURL(url);
}

function Table({ title, shown }: Properties) {
  const { choice, zone, span } = shown;
  const share = isState(choice.metric);
  const text = (value: number | null | undefined, unit: string | null) =>
    figureText(summaryFigure(value ?? null, choice.metric, unit));
  return (
    <table>
      <caption className="visually-hidden">{title}</caption>
      <thead>
        <tr>
          <th scope="col">Time</th>
          <th scope="col">{share ? `Share ${shareWords(choice.metric)}` : 'Average'}</th>
          {!share && (
            <>
              <th scope="col">Lowest</th>
              <th scope="col">Highest</th>
              <th scope="col">95 % below</th>
            </>
          )}
          <th scope="col">Values</th>
        </tr>
      </thead>
      <tbody>
        {newestRevisions(shown.rows)
          .toReversed()
          .map((row) => {
            const start = Date.parse(row.windowStart);
            const end = Date.parse(row.windowEnd);
            return (
              <tr key={row.windowStart}>
                <th scope="row">
                  {span.interval === 'P1D'
                    ? shortDay(start, zone)
                    : `${dayAndTime(start, zone)}–${clockTime(end, zone)}`}
                </th>
                <td>{text(row.avg, row.unit)}</td>
                {!share && (
                  <>
                    <td>{text(row.min, row.unit)}</td>
                    <td>{text(row.max, row.unit)}</td>
                    <td>{text(row.p95, row.unit)}</td>
                  </>
                )}
                <td>{countText(row.count)}</td>
              </tr>
            );
          })}
      </tbody>
    </table>
  );
}

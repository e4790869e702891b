import uPlot from 'uplot';
import { isState, summaryFigure } from '../model/figures.ts';
import { lonePoints, type Series } from '../model/series.ts';
import { clockTime, shortDay } from '../model/time.ts';
import type { Span } from '../model/window.ts';
import { subscribeToTheme } from '../theme.ts';

interface Drawing {
  readonly metric: string;
  readonly unit: string | null;
  /** Times are shown in this zone. */
  readonly zone: string;
  /** The point under the pointer; undefined when it leaves. */
  readonly onPoint: (index: number | undefined) => void;
}

export interface Chart {
  readonly show: (series: Series, span: Span) => void;
  /** Marks a point; undefined marks none. */
  readonly point: (index: number | undefined) => void;
  readonly destroy: () => void;
}

type Ink = (name: string) => string;

const dayS = 86_400;
/** Few points are shown as dots too, or one alone would be invisible. */
const dotsMax = 48;
const narrowPx = 600;

/** A chart that fills a box, in the colours of the style sheet. */
export function drawChart(box: HTMLElement, drawing: Drawing): Chart {
  let span: Span | undefined;
  const bounds = (): [number, number] => [(span?.from ?? 0) / 1000, (span?.to ?? 1) / 1000];
  const plot = new uPlot(optionsOf(drawing, { box, bounds }), [[], [], [], []], box);

  const unsubscribe = subscribeToTheme(() => plot.redraw(false, true));
  const observer = new ResizeObserver(() => plot.setSize(sizeOf(box)));
  observer.observe(box);

  return {
    show({ starts, avg, min, max }, shownSpan) {
      span = shownSpan;
      plot.setData([[...starts], [...max], [...min], [...avg]]);
    },
    point(index) {
      const start = index === undefined ? undefined : plot.data[0][index];
      const value = index === undefined ? undefined : plot.data[3]?.[index];
      const left = start === undefined ? -10 : plot.valToPos(start, 'x');
      const top = value === undefined || value === null ? 0 : plot.valToPos(value, 'y');
      plot.setCursor({ left, top }, false);
    },
    destroy() {
      unsubscribe();
      observer.disconnect();
      plot.destroy();
    },
  };
}

function sizeOf(box: HTMLElement): { width: number; height: number } {
  const width = Math.max(200, box.clientWidth);
  return { width, height: width < narrowPx ? 250 : 340 };
}

interface Frame {
  readonly box: HTMLElement;
  /** The ends of the time axis, seconds since 1970. */
  readonly bounds: () => [number, number];
}

function optionsOf(drawing: Drawing, { box, bounds }: Frame): uPlot.Options {
  const ink = inkOf(box);
  const state = isState(drawing.metric);
  const band = () => ink('--chart-band');
  const edge = {
    stroke: () => ink('--chart-edge'),
    width: 1,
    points: { show: false },
    show: !state,
  };
  return {
    ...sizeOf(box),
    padding: [10, 26, 0, 0],
    legend: { show: false },
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), drawing.zone),
    cursor: { drag: { x: false, y: false }, y: false, points: { size: 9 } },
    scales: { x: { range: bounds }, ...(state && { y: { range: [0, 1] } }) },
    series: [
      {},
      edge,
      edge,
      {
        stroke: () => ink('--chart-line'),
        width: 2,
        points: {
          show: (self) => self.data[0].length <= dotsMax,
          filter: (self, index, show) => (show ? null : lonePoints(self.data[index] ?? [])),
          size: 5,
        },
        ...(state && { fill: band }),
      },
    ],
    ...(!state && { bands: [{ series: [1, 2], fill: band }] }),
    axes: axesOf(drawing, ink),
    hooks: { setCursor: [(self) => drawing.onPoint(self.cursor.idx ?? undefined)] },
  };
}

/** A canvas knows no custom properties, so an element is asked what they mean at the moment. */
function inkOf(box: HTMLElement): Ink {
  const probe = document.createElement('span');
  probe.hidden = true;
  box.append(probe);
  return (name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
}

function axesOf({ metric, unit, zone }: Drawing, ink: Ink): uPlot.Axis[] {
  const common = {
    stroke: () => ink('--ink-muted'),
    grid: { stroke: () => ink('--chart-grid'), width: 1 },
    ticks: { stroke: () => ink('--chart-grid'), width: 1, size: 6 },
    font: '12px system-ui, sans-serif',
  };
  return [
    {
      ...common,
      space: 70,
      values: (...[, splits, , , increment]) => timeLabels(splits, increment, zone),
    },
    {
      ...common,
      size: 58,
      values: (_self, splits) => splits.map((value) => valueLabel(value, metric, unit)),
    },
  ];
}

function valueLabel(value: number, metric: string, unit: string | null): string {
  const { text, sign } = summaryFigure(value, metric, unit);
  return sign === '%' || sign === '°C' ? `${text} ${sign}` : text;
}

/** Times of day, with the day under the first of each day; days alone where a step is a day or more. */
function timeLabels(splits: readonly number[], increment: number, zone: string): string[] {
  let day = '';
  return splits.map((seconds) => {
    const thisDay = shortDay(seconds * 1000, zone);
    if (increment >= dayS) return thisDay;
    const time = clockTime(seconds * 1000, zone);
    const label = thisDay === day ? time : `${time}\n${thisDay}`;
    day = thisDay;
    return label;
  });
}

import { type CellFigures, statusLine } from './demo-screen.ts';
import type { Demo } from './demo.ts';

/** Asks the processes for their counters and says it in one line; calls after calls give rates. */
export class DemoStatus {
  readonly #demo: Demo;
  #last: { at: number; readings: number } | undefined;

  constructor(demo: Demo) {
    this.#demo = demo;
  }

  async line(): Promise<string> {
    const figures = await Promise.all(
      [...this.#demo.cells.values()].map(async ({ country, admin }): Promise<CellFigures> => {
        const tasks = await metricsOf(admin['tasks']);
        const lander = await metricsOf(admin['lander']);
        return {
          country,
          readings: sumOf(tasks, 'task_readings_total'),
          lagRecords: sumOf(tasks, 'task_lag_records'),
          landedRows: sumOf(lander, 'lander_rows_total'),
          away: [...(tasks === '' ? ['tasks'] : []), ...(lander === '' ? ['lander'] : [])],
        };
      }),
    );
    const readings = figures.reduce((sum, one) => sum + one.readings, 0);
    const now = performance.now();
    const last = this.#last ?? { at: now, readings };
    const seconds = (now - last.at) / 1000;
    this.#last = { at: now, readings };
    const rate = seconds > 0 ? Math.max(0, readings - last.readings) / seconds : 0;
    return statusLine(figures, rate);
  }
}

/** Empty when the process does not answer: it is being started again. */
async function metricsOf(admin: string | undefined): Promise<string> {
  try {
    const response = await fetch(`${admin}/metrics`, { signal: AbortSignal.timeout(1_000) });
    return await response.text();
  } catch {
    return '';
  }
}

/** The sum of a metric over its labels. */
function sumOf(text: string, name: string): number {
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

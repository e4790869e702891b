import { z } from 'zod';
import {
  accountRowSchema,
  accountTotalsSchema,
  buildingPlanSchema,
  buildingSchema,
  deviceRowSchema,
  latestRowSchema,
  summaryRowSchema,
  type Account,
  type Building,
  type BuildingPlan,
  type DeviceRow,
  type LatestRow,
  type SummaryRow,
} from './model/answers.ts';
import { countryWords, type Cell } from './model/configuration.ts';
import { CellProblem, problemOf, unreachable, unreadable } from './model/problem.ts';
import type { Level, Span } from './model/window.ts';
import type { Session } from './session/session.ts';

/** An answer and where it came from, which the page shows beside it. */
export interface Answer<Value> {
  readonly value: Value;
  readonly cell: Cell;
  readonly tookMs: number;
}

export interface SummaryQuery extends Span {
  readonly building: string;
  readonly level: Level;
  readonly id: string;
  readonly metric: string;
}

type Query = Readonly<Record<string, string>>;

/** Lists come in pages; a list longer than this many ends here. */
const pagesMax = 40;
const rowsPerPage = '5000';
const timeoutMs = 20_000;

/** One country's cell, asked directly by the browser with that cell's own token. */
export class CellClient {
  readonly cell: Cell;
  readonly #session: Session;

  constructor(cell: Cell, session: Session) {
    this.cell = cell;
    this.#session = session;
  }

  buildings(signal: AbortSignal): Promise<Answer<Building[]>> {
    return this.#timed(() => this.#rows('/v1/buildings', {}, { row: buildingSchema, signal }));
  }

  building(id: string, signal: AbortSignal): Promise<Answer<BuildingPlan>> {
    return this.#timed(() => this.#one(`/v1/buildings/${id}`, buildingPlanSchema, signal));
  }

  latest(id: string, signal: AbortSignal): Promise<Answer<LatestRow[]>> {
    const path = `/v1/buildings/${id}/latest`;
    return this.#timed(() => this.#rows(path, {}, { row: latestRowSchema, signal }));
  }

  devices(id: string, signal: AbortSignal): Promise<Answer<DeviceRow[]>> {
    const path = `/v1/buildings/${id}/devices`;
    return this.#timed(() => this.#rows(path, {}, { row: deviceRowSchema, signal }));
  }

  summaries(query: SummaryQuery, signal: AbortSignal): Promise<Answer<SummaryRow[]>> {
    const { building, level, id, metric, interval } = query;
    const path = `/v1/buildings/${building}/summaries`;
    const asked = { ...times(query), interval, level, metric, id };
    return this.#timed(() => this.#rows(path, asked, { row: summaryRowSchema, signal }));
  }

  account(
    id: string,
    range: { from: number; to: number },
    signal: AbortSignal,
  ): Promise<Answer<Account>> {
    const path = `/v1/buildings/${id}/account`;
    const pageSchema = z.object({
      totals: accountTotalsSchema,
      rows: z.array(accountRowSchema),
      next: z.string().nullish(),
    });
    return this.#timed(async () => {
      const pages = await this.#pages(path, times(range), { page: pageSchema, signal });
      const totals = pages[0]?.totals ?? accountTotalsSchema.parse({});
      return { totals, rows: pages.flatMap(({ rows }) => rows) };
    });
  }

  /** Opens the live stream of a building. */
  async live(
    id: string,
    lastEventId: string | undefined,
    signal: AbortSignal,
  ): Promise<ReadableStream<Uint8Array>> {
    const headers = {
      Accept: 'text/event-stream',
      ...(lastEventId !== undefined && { 'Last-Event-ID': lastEventId }),
    };
    const response = await this.#fetch(`/v1/buildings/${id}/live`, { headers, signal });
    if (!response.body) throw new CellProblem(unreadable(this.#name));
    return response.body;
  }

  get #name(): string {
    return `The cell in ${countryWords(this.cell)}`;
  }

  async #timed<Value>(ask: () => Promise<Value>): Promise<Answer<Value>> {
    const before = performance.now();
    const value = await ask();
    return { value, cell: this.cell, tookMs: Math.round(performance.now() - before) };
  }

  async #rows<Row extends z.ZodType>(
    path: string,
    query: Query,
    { row, signal }: { row: Row; signal: AbortSignal },
  ): Promise<z.output<Row>[]> {
    const page = z.object({ rows: z.array(row), next: z.string().nullish() });
    const pages = await this.#pages(path, query, { page, signal });
    return pages.flatMap(({ rows }) => rows);
  }

  async #pages<Page extends { next?: string | null | undefined }>(
    path: string,
    query: Query,
    { page, signal }: { page: z.ZodType<Page>; signal: AbortSignal },
  ): Promise<Page[]> {
    const pages: Page[] = [];
    let cursor: Query = {};
    for (let number = 0; number < pagesMax; number += 1) {
      const asked = new URLSearchParams({ ...query, limit: rowsPerPage, ...cursor });
      const read = await this.#one(`${path}?${asked}`, page, signal);
      pages.push(read);
      if (!read.next) break;
      cursor = { cursor: read.next };
    }
    return pages;
  }

  async #one<Schema extends z.ZodType>(
    path: string,
    schema: Schema,
    signal: AbortSignal,
  ): Promise<z.output<Schema>> {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const headers = { Accept: 'application/json' };
    const response = await this.#fetch(path, { headers, signal: bounded });
    const body: unknown = await response.json().catch(() => undefined);
    const read = schema.safeParse(body);
    if (read.success) return read.data;
    throw new CellProblem(unreadable(this.#name), { cause: read.error });
  }

  /** Throws a `CellProblem` for every answer that is not a good one. */
  async #fetch(
    path: string,
    { headers, signal }: { headers: Record<string, string>; signal: AbortSignal },
  ): Promise<Response> {
    let token: string | undefined;
    const attempt = async (refused?: string): Promise<Response> => {
      token = await this.#session.tokenFor(this.cell, refused);
      const authorised = { ...headers, Authorization: `Bearer ${token}` };
      const address = `${this.cell.api}${path}`;
      return fetch(address, { headers: authorised, signal }).catch((error: unknown) => {
        if (signal.aborted && !(signal.reason instanceof DOMException)) throw error;
        throw new CellProblem(unreachable(this.#name), { cause: error });
      });
    };
    const first = await attempt();
    // A key may have been turned since: one new token is worth one more try.
    const response = first.status === 401 ? await attempt(token) : first;
    if (response.ok) return response;
    const body: unknown = await response.json().catch(() => undefined);
    throw new CellProblem(problemOf(response.status, body, this.#name));
  }
}

function times({ from, to }: { from: number; to: number }): Query {
  return { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
}

import { problemSchema } from './answers.ts';

/** What went wrong, and what the reader can do about it. */
export interface Problem {
  readonly title: string;
  readonly detail: string;
  /** Trying the same again may help. */
  readonly retriable: boolean;
  readonly status?: number;
}

/** A failure of a cell, in words for the page. */
export class CellProblem extends Error {
  override readonly name = 'CellProblem';
  readonly problem: Problem;

  constructor(problem: Problem, options?: ErrorOptions) {
    super(problem.title, options);
    this.problem = problem;
  }
}

const adviceByStatus: Readonly<Record<number, string>> = {
  401: 'Sign out and in again.',
  403: 'Your account may not see this. Ask whoever manages your accounts.',
  404: 'Check the address, or choose a building from the list.',
  421: 'This building belongs to another country’s cell.',
  429: 'Too many requests at once. Wait a few seconds, then try again.',
};

/** Reads an `application/problem+json` body (RFC 9457); anything else gets words by its status. */
export function problemOf(status: number, body: unknown, cellName: string): Problem {
  const read = problemSchema.safeParse(body);
  const retriable = status >= 500 || status === 429 || status === 408;
  const advice =
    adviceByStatus[status] ?? (retriable ? 'Try again in a moment.' : 'Choose something else.');
  const { title, detail } = read.success ? read.data : {};
  return {
    title: title ? capitalised(title) : `${cellName} answered ${status}`,
    detail: detail ? `${withStop(detail)} ${advice}` : advice,
    retriable,
    status,
  };
}

export function unreachable(cellName: string): Problem {
  return {
    title: `${cellName} cannot be reached`,
    detail:
      'Either your network or this cell is down. Other countries are not affected. Try again in a moment.',
    retriable: true,
  };
}

export function unreadable(cellName: string): Problem {
  return {
    title: `${cellName} answered in a form this page does not know`,
    detail: 'Reload the page; if that does not help, the page is older or newer than the cell.',
    retriable: true,
  };
}

/** The problem behind any failure that reached a component. */
export function problemFrom(error: unknown): Problem {
  if (error instanceof CellProblem) return error.problem;
  return {
    title: 'Something went wrong on this page',
    detail: 'Reload the page and try again.',
    retriable: true,
  };
}

function capitalised(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function withStop(sentence: string): string {
  return /[.!?]$/.test(sentence) ? sentence : `${sentence}.`;
}

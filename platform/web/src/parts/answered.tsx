import { countryWords, type Cell } from '../model/configuration.ts';

interface Properties {
  readonly cell: Cell;
  readonly tookMs: number | undefined;
}

/** Says which cell an answer came from. */
export function Answered({ cell, tookMs }: Properties) {
  return (
    <p className="answered">
      <span className="answered-country">{cell.country}</span>
      from the cell in {countryWords(cell)}, {new URL(cell.api).host}
      {tookMs !== undefined && `, in ${tookMs} ms`}
    </p>
  );
}

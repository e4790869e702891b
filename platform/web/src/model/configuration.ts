import { z } from 'zod';

const cellSchema = z.object({
  /** ISO 3166-1 alpha-2, upper case. */
  country: z.string().regex(/^[A-Z]{2}$/),
  name: z.string().min(1),
  /** The address of the cell's API gateway, without a slash at its end. */
  api: z.url().transform((address) => address.replace(/\/+$/, '')),
  /** The audience of this cell's tokens. */
  audience: z.string().min(1),
});

/** `config.json`, served beside the page. */
export const configurationSchema = z.object({
  issuer: z.url(),
  clientId: z.string().min(1),
  cells: z.array(cellSchema).min(1),
  /** What visitors should know of the data, for example that it is a demo's. */
  notice: z.string().optional(),
});

export type Cell = z.output<typeof cellSchema>;
export type Configuration = z.output<typeof configurationSchema>;

/** The cell of a building: its id begins with its country. Undefined where no such cell is configured. */
export function cellOf(buildingId: string, cells: readonly Cell[]): Cell | undefined {
  const country = buildingId.split('-')[0]?.toUpperCase();
  return cells.find((cell) => cell.country === country);
}

/** A country's name inside a sentence: `Germany`, `the United States`. */
export function countryWords({ name }: Pick<Cell, 'name'>): string {
  return /^(United|Netherlands|Philippines|Bahamas|Maldives|Gambia)\b/.test(name)
    ? `the ${name}`
    : name;
}

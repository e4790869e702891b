import { createContext, useContext } from 'react';
import type { CellClient } from './cell-client.ts';

/** The clients of all configured cells, one a country. */
export const CellsContext = createContext<readonly CellClient[]>([]);

export function useCells(): readonly CellClient[] {
  return useContext(CellsContext);
}

import { clauses3, otherwise3 } from './clauses-3.ts';
import { clauses5, otherwise5 } from './clauses-5.ts';

/** What is judged, by standard. */
export const standards = [
  { title: 'MQTT 5.0', version: 5, clauses: clauses5, otherwise: otherwise5 },
  { title: 'MQTT 3.1.1', version: 4, clauses: clauses3, otherwise: otherwise3 },
] as const;

/** The UCUM codes that buildings use (https://ucum.org), each with the sign that people read. */
const signs = {
  Cel: '°C',
  '[degF]': '°F',
  K: 'K',
  '%': '%',
  '[ppm]': 'ppm',
  'ug/m3': 'µg/m³',
  lx: 'lx',
  W: 'W',
  kW: 'kW',
  'W.h': 'Wh',
  'kW.h': 'kWh',
  V: 'V',
  A: 'A',
  Hz: 'Hz',
  Pa: 'Pa',
  hPa: 'hPa',
  m3: 'm³',
  'm3/h': 'm³/h',
  L: 'L',
  'm/s': 'm/s',
  s: 's',
  min: 'min',
  h: 'h',
  dB: 'dB',
  'g/kg': 'g/kg',
  '1': '',
  '{count}': '',
} as const;

export type Unit = keyof typeof signs;

export const units: readonly Unit[] = Object.keys(signs).filter(isUnit);

export function isUnit(code: string): code is Unit {
  return Object.hasOwn(signs, code);
}

/** What stands beside a number on a page; empty for a plain number. */
export function signOf(code: string): string {
  return isUnit(code) ? signs[code] : code;
}

/** A unit as a line through its dimension's base unit: base = value × factor + offset. */
interface Scale {
  readonly dimension: string;
  readonly factor: number;
  readonly offset: number;
}

const scales: Readonly<Record<string, Scale>> = {
  Cel: { dimension: 'temperature', factor: 1, offset: 0 },
  K: { dimension: 'temperature', factor: 1, offset: -273.15 },
  '[degF]': { dimension: 'temperature', factor: 5 / 9, offset: -160 / 9 },
  W: { dimension: 'power', factor: 1, offset: 0 },
  kW: { dimension: 'power', factor: 1000, offset: 0 },
  'W.h': { dimension: 'energy', factor: 1, offset: 0 },
  'kW.h': { dimension: 'energy', factor: 1000, offset: 0 },
  Pa: { dimension: 'pressure', factor: 1, offset: 0 },
  hPa: { dimension: 'pressure', factor: 100, offset: 0 },
  m3: { dimension: 'volume', factor: 1, offset: 0 },
  L: { dimension: 'volume', factor: 0.001, offset: 0 },
  s: { dimension: 'time', factor: 1, offset: 0 },
  min: { dimension: 'time', factor: 60, offset: 0 },
  h: { dimension: 'time', factor: 3600, offset: 0 },
};

/** A straight line: value × factor + offset. */
export interface Line {
  readonly factor: number;
  readonly offset: number;
}

/** How a value of one UCUM unit becomes one of another; undefined if nobody can tell. */
export function conversion(from: string, to: string): Line | undefined {
  if (from === to) return { factor: 1, offset: 0 };
  const source = Object.hasOwn(scales, from) ? scales[from] : undefined;
  const target = Object.hasOwn(scales, to) ? scales[to] : undefined;
  if (!source || source.dimension !== target?.dimension) return undefined;
  return {
    factor: source.factor / target.factor,
    offset: (source.offset - target.offset) / target.factor,
  };
}

/** One suite per kind of real thing. A test file belongs to exactly one, by its name. */
const real = ['net', 'kafka', 'k8s', 'spark', 'browser'];

interface Suite {
  readonly name: string;
  readonly include: string[];
  readonly exclude?: string[];
  /** For the start of real servers; pure tests take milliseconds. */
  readonly testTimeout?: number;
  readonly hookTimeout?: number;
}

const patient = { testTimeout: 60_000, hookTimeout: 120_000 };
const outsideRooms = ['**/node_modules/**', 'integrity/**'];

export const suites: readonly Suite[] = [
  { name: 'unit', include: ['**/*.test.ts'], exclude: [...outsideRooms, '**/*.*.test.ts'] },
  ...real.map((name) => ({
    name,
    include: [`**/*.${name}.test.ts`],
    exclude: outsideRooms,
    ...patient,
  })),
  { name: 'integrity', include: ['integrity/**/*.test.ts'], ...patient },
];

/** One suite per kind of real thing. A test file belongs to exactly one, by its name. */
const real = ['net', 'kafka', 'k8s', 'spark', 'browser'];
/** Promise tests on a real API server: they run with its suite. */
const onKubernetes = 'integrity/**/*.k8s.test.ts';

interface Suite {
  readonly name: string;
  readonly include: string[];
  readonly exclude?: string[];
  /** For the start of real servers; pure tests take milliseconds. */
  readonly testTimeout?: number;
  readonly hookTimeout?: number;
  /** How long is awaited what becomes true by itself; a second, as by default, is too short for real servers. */
  readonly expect?: { readonly poll: { readonly timeout: number } };
  /** Real servers want the machine for themselves: their files run one after the other. */
  readonly maxWorkers?: number;
  /** What takes longer than a test may, once before the suite. */
  readonly globalSetup?: string[];
  /** Suites run one after the other, the quick ones first. */
  readonly sequence: { readonly groupOrder: number };
}

const patient = {
  testTimeout: 60_000,
  hookTimeout: 120_000,
  expect: { poll: { timeout: 20_000 } },
  maxWorkers: 1,
};
const outsideRooms = ['**/node_modules/**', 'integrity/**'];

export const suites: readonly Suite[] = [
  {
    name: 'unit',
    include: ['**/*.test.ts'],
    exclude: [...outsideRooms, '**/*.*.test.ts'],
    sequence: { groupOrder: 0 },
  },
  ...real.map((name, index) => ({
    name,
    include: [`**/*.${name}.test.ts`],
    exclude: name === 'k8s' ? ['**/node_modules/**'] : outsideRooms,
    ...(name === 'k8s' && { globalSetup: ['platform/devkit/src/kube/global-setup.ts'] }),
    ...patient,
    sequence: { groupOrder: index + 1 },
  })),
  {
    name: 'integrity',
    include: ['integrity/**/*.test.ts'],
    exclude: ['**/node_modules/**', onKubernetes],
    ...patient,
    sequence: { groupOrder: real.length + 1 },
  },
];

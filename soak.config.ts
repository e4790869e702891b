import { ClosingLine } from '@domicile/tidy/closing-line.ts';
import { defineConfig } from 'vitest/config';

/** Too long for every run; `make soak`. Not a suite of `make test`. */
export default defineConfig({
  test: {
    reporters: ['default', new ClosingLine()],
    include: ['**/*.soak.ts'],
    exclude: ['**/node_modules/**'],
    testTimeout: 600_000,
    hookTimeout: 180_000,
    maxWorkers: 1,
  },
});

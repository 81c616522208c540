import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

// `unit`: milliseconds each, no processes. `slow`: PostgreSQL, gRPC, child processes, the compiled `dist/`.
export default defineConfig({
  test: {
    // On two cores it would be one file at a time, and slow tests mostly wait for other processes.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{shared,coordinator,worker,test}/**/*.test.ts'],
          exclude: ['**/*.slow.test.ts', '**/node_modules/**'],
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'slow',
          include: ['{shared,coordinator,worker,test}/**/*.slow.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});

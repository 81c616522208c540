// House style as lint errors: import directions between the folders, cycles, sizes, floating promises.
import js from '@eslint/js';
import tseslint from 'typescript-eslint';
import importX from 'eslint-plugin-import-x';
import { createTypeScriptImportResolver } from 'eslint-import-resolver-typescript';

/** The folders that must not be imported from `target`, with the exceptions that may. */
const zone = (target, from, except, message) => ({
  target: `./${target}`,
  from: `./${from}`,
  except,
  message,
});

const importDirections = [
  ...['coordinator', 'worker', 'shared/wire', 'shared/platform', 'test', 'bench'].map((from) =>
    zone('shared/core', from, undefined, 'core is pure: it imports only itself'),
  ),
  ...['coordinator', 'worker'].flatMap((from) => [
    zone('shared/wire', from, undefined, 'wire knows only core'),
    zone('shared/platform', from, undefined, 'platform knows only core'),
  ]),
  zone('shared/wire', 'shared/platform', undefined, 'wire knows only core'),
  zone('shared/platform', 'shared/wire', undefined, 'platform knows only core'),
  zone('coordinator', 'worker', undefined, 'coordinator and worker meet on the wire only'),
  zone('worker', 'coordinator', undefined, 'coordinator and worker meet on the wire only'),
  ...['storage', 'grpc', 'http', 'analysis', 'cli', 'study-file', 'market-data', 'results'].map((from) =>
    zone(
      'coordinator/app',
      `coordinator/${from}`,
      ['./port.ts'],
      'app knows core and its ports; adapters are arguments',
    ),
  ),
  zone('coordinator/app', 'shared/wire', undefined, 'app does not know the wire'),
  ...['storage', 'grpc', 'http', 'analysis', 'study-file', 'market-data', 'results'].flatMap((target) =>
    ['storage', 'grpc', 'http', 'analysis', 'cli', 'study-file', 'market-data', 'results']
      .filter((from) => from !== target)
      .map((from) =>
        zone(
          `coordinator/${target}`,
          `coordinator/${from}`,
          ['./port.ts'],
          'adapters do not know each other',
        ),
      ),
  ),
];

export default tseslint.config(
  { ignores: ['**/node_modules', 'dist', 'out', 'parzen-data', 'shared/wire/gen'] },
  js.configs.recommended,
  {
    files: ['**/*.js'],
    languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly' } },
  },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    plugins: { 'import-x': importX },
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    settings: { 'import-x/resolver-next': [createTypeScriptImportResolver({ project: './tsconfig.json' })] },
    rules: {
      'import-x/no-restricted-paths': ['error', { zones: importDirections }],
      'import-x/no-cycle': ['error', { ignoreExternal: true }],
      'import-x/no-default-export': 'error',
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
      'max-lines-per-function': ['error', { max: 60, skipBlankLines: true, skipComments: true }],
      'max-params': ['error', 4],
      eqeqeq: ['error', 'smart'],
      'no-console': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
    },
  },
  {
    // core is deterministic: clock, ambient randomness and environment are arguments or do not exist.
    files: ['shared/core/**/*.ts'],
    ignores: ['**/*.test.ts'],
    rules: {
      'no-restricted-globals': [
        'error',
        'process',
        'setTimeout',
        'setInterval',
        'fetch',
        'Buffer',
        'performance',
      ],
      'no-restricted-properties': [
        'error',
        { object: 'Math', property: 'random', message: 'core draws from a seeded generator' },
        { object: 'Date', property: 'now', message: 'time is an argument' },
      ],
      'no-restricted-imports': ['error', { patterns: ['node:*', 'fs', 'path'] }],
    },
  },
  {
    files: ['**/*.test.ts', 'test/**/*.ts', 'bench/**/*.ts', 'vitest.config.ts'],
    rules: {
      'max-lines-per-function': 'off',
      'import-x/no-restricted-paths': 'off',
      'import-x/no-default-export': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      'no-console': 'off',
    },
  },
);

// The house rules that a machine can check. Three of them are architecture:
//   1. workflow code is deterministic, so `workflows/` may import nothing that is not;
//   2. of a service, only its contract is imported from outside;
//   3. no promise is left floating.
import eslint from '@eslint/js';
import { importX } from 'eslint-plugin-import-x';
import { createTypeScriptImportResolver } from 'eslint-import-resolver-typescript';
import { builtinModules } from 'node:module';
import globals from 'globals';
import tseslint from 'typescript-eslint';

const services = ['account', 'package', 'drone', 'carrier', 'delivery', 'ingestion'];

/** Everything of a service but its contract is private to it. `services/main.ts` and tests compose the whole. */
const servicePrivacy = services.map((service) => ({
  target: ['./*', './!(test|services)/**', `./services/!(${service})/**`],
  from: `./services/${service}`,
  except: ['./contract.ts', './contract'],
  message: `Only services/${service}/contract may be imported from outside the ${service} service.`,
}));

/** So that no activity of a delivery is called past the registry, and no step without what undoes it. */
const onlyBySteps = {
  selector: 'ImportSpecifier[imported.name=/^proxy(Local)?Activities$/]',
  message: 'The activities of a delivery are called through workflows/delivery/steps.ts only.',
};
const onlyWithItsUndo = {
  selector: 'ImportSpecifier[imported.name="undoableStep"]',
  message: 'A step that is undone is run by Compensations.prepare, which registers what undoes it.',
};

export default tseslint.config(
  {
    ignores: ['node_modules', '.local', 'dist', 'coverage', 'prisma/*/generated'],
  },
  eslint.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
      globals: globals.node,
    },
    plugins: { 'import-x': importX },
    settings: { 'import-x/resolver-next': [createTypeScriptImportResolver()] },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: false }],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/require-await': 'off',
      'import-x/no-restricted-paths': ['error', { zones: servicePrivacy }],
    },
  },
  {
    files: ['workflows/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: [
            ...builtinModules.map((name) => ({
              name,
              message: 'Workflow code is deterministic: no Node built-ins.',
            })),
          ],
          patterns: [
            { group: ['node:*'], message: 'Workflow code is deterministic: no Node built-ins.' },
            {
              group: ['@temporalio/*', '!@temporalio/workflow', '!@temporalio/common'],
              message: 'Workflow code imports @temporalio/workflow only.',
            },
            {
              regex: '(prisma|undici|fastify|pino|^pg$|/server\\.ts$|/client\\.ts$)',
              message: 'Workflow code is deterministic: no clients, servers or databases.',
            },
            { regex: '\\.\\./activities/', allowTypeImports: true, message: 'Import activity types only.' },
          ],
        },
      ],
      'no-restricted-globals': [
        'error',
        ...['process', 'Buffer', 'fetch', 'setImmediate', 'performance', 'crypto'].map((name) => ({
          name,
          message: 'Workflow code is deterministic: nothing from outside the workflow sandbox.',
        })),
      ],
    },
  },
  {
    files: ['workflows/**/*.ts'],
    ignores: ['workflows/delivery/**'],
    rules: { 'no-restricted-syntax': ['error', onlyWithItsUndo] },
  },
  {
    files: ['workflows/delivery/**/*.ts'],
    ignores: ['workflows/delivery/steps.ts', 'workflows/delivery/compensation.ts'],
    rules: { 'no-restricted-syntax': ['error', onlyBySteps, onlyWithItsUndo] },
  },
  {
    files: ['workflows/delivery/compensation.ts'],
    rules: { 'no-restricted-syntax': ['error', onlyBySteps] },
  },
  {
    files: ['test/**/*.ts', '**/*.test.ts'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off' },
  },
  { files: ['**/*.mjs'], languageOptions: { globals: globals.node } },
);

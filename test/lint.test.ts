/** The walls of the house are held by lint; this holds lint to it. */
import { ESLint } from 'eslint';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = path.join(import.meta.dirname, '..');

/** Where a trespass is written, what it is, and the rule that must refuse it. */
const TRESPASSES = [
  { file: 'workflows/lint-trespass/node.ts', code: "import 'node:fs';", rule: 'no-restricted-imports' },
  { file: 'workflows/lint-trespass/bare.ts', code: "import 'crypto';", rule: 'no-restricted-imports' },
  {
    file: 'workflows/lint-trespass/client.ts',
    code: "import '@temporalio/client';",
    rule: 'no-restricted-imports',
  },
  {
    file: 'workflows/lint-trespass/prisma.ts',
    code: "import '@prisma/client';",
    rule: 'no-restricted-imports',
  },
  {
    file: 'workflows/lint-trespass/http.ts',
    code: "import { createClient } from '../../shared/http/client.ts';\nexport const c = createClient;",
    rule: 'no-restricted-imports',
  },
  {
    file: 'workflows/lint-trespass/activity.ts',
    code: "import { createActivities } from '../../activities/index.ts';\nexport const a = createActivities;",
    rule: 'no-restricted-imports',
  },
  {
    file: 'workflows/lint-trespass/process.ts',
    code: 'export const pid = process.pid;',
    rule: 'no-restricted-globals',
  },
  {
    file: 'workflows/lint-trespass/floating.ts',
    code: 'async function f(): Promise<void> {}\nf();',
    rule: '@typescript-eslint/no-floating-promises',
  },
  {
    file: 'workflows/delivery/lint-trespass/past-the-registry.ts',
    code: "import { proxyActivities } from '@temporalio/workflow';\nexport const p = proxyActivities;",
    rule: 'no-restricted-syntax',
  },
  {
    file: 'workflows/delivery/lint-trespass/without-its-undo.ts',
    code: "import { undoableStep } from '../steps.ts';\nexport const u = undoableStep;",
    rule: 'no-restricted-syntax',
  },
  {
    file: 'workflows/lint-trespass/without-its-undo.ts',
    code: "import { undoableStep } from '../delivery/steps.ts';\nexport const u = undoableStep;",
    rule: 'no-restricted-syntax',
  },
  {
    file: 'api/lint-trespass/private.ts',
    code: "import { buildAccountService } from '../../services/account/service.ts';\nexport const b = buildAccountService;",
    rule: 'import-x/no-restricted-paths',
  },
  {
    file: 'services/package/lint-trespass/private.ts',
    code: "import { buildAccountService } from '../../account/service.ts';\nexport const b = buildAccountService;",
    rule: 'import-x/no-restricted-paths',
  },
];

/** What must stay allowed. */
const ALLOWED = [
  {
    file: 'workflows/lint-trespass/sdk.ts',
    code: "import { sleep } from '@temporalio/workflow';\nexport const s = sleep;",
  },
  {
    file: 'workflows/lint-trespass/types.ts',
    code: "import type { DeliveryActivities } from '../../activities/index.ts';\nexport type A = DeliveryActivities;",
  },
  {
    file: 'api/lint-trespass/contract.ts',
    code: "import { accountContract } from '../../services/account/contract/index.ts';\nexport const c = accountContract;",
  },
];

const all = [...TRESPASSES, ...ALLOWED];
const folders = [...new Set(all.map(({ file }) => path.join(ROOT, path.dirname(file))))];
let rules: Map<string, string[]>;

beforeAll(async () => {
  await Promise.all(folders.map((folder) => mkdir(folder, { recursive: true })));
  await Promise.all(all.map(({ file, code }) => writeFile(path.join(ROOT, file), `${code}\n`)));
  const results = await new ESLint({ cwd: ROOT }).lintFiles(all.map(({ file }) => file));
  rules = new Map(
    results.map(({ filePath, messages }) => [
      path.relative(ROOT, filePath),
      messages.map((message) => message.ruleId ?? message.message),
    ]),
  );
}, 120_000);

afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

describe('lint', () => {
  it.each(TRESPASSES)('refuses $file by $rule', ({ file, rule }) => {
    expect(rules.get(file)).toContain(rule);
  });

  it.each(ALLOWED)('allows $file', ({ file }) => {
    expect(rules.get(file)).toEqual([]);
  });
});

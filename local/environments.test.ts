import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { LIVE_CLOCK } from '../shared/clock.ts';
import { parseEnv } from '../shared/config.ts';
import { configurationPage, writtenPage } from './configuration-page.ts';
import { environmentTable, ROLE_ENVIRONMENTS, variablesOf } from './environments.ts';
import { PORTS, PROJECT_ROOT, rolesOf, type StackSettings } from './roles.ts';

const settings: StackSettings = {
  ports: Object.fromEntries(
    Object.entries(PORTS).map(([name, { usual }]) => [name, usual]),
  ) as StackSettings['ports'],
  databaseUrls: Object.fromEntries(
    ['account', 'package', 'drone', 'carrier', 'delivery', 'ingestion'].map((name) => [
      name,
      `postgresql://${name}_app:secret@127.0.0.1:5433/drone_delivery`,
    ]),
  ) as StackSettings['databaseUrls'],
  temporal: {
    address: '127.0.0.1:7233',
    namespace: 'drone-delivery',
    uiUrl: 'http://127.0.0.1:8233',
    uiUpstream: undefined,
  },
  clock: LIVE_CLOCK,
  secrets: {
    databasePasswords: {} as StackSettings['secrets']['databasePasswords'],
    payloadKeys: 'k1:AAAA',
    codecSecret: 'c'.repeat(32),
    accountKeySecret: 'a'.repeat(32),
    recipientSecret: 'r'.repeat(32),
    operatorKey: 'o'.repeat(32),
    droneKey: 'd'.repeat(32),
    accountKeys: {},
  },
  directory: '.local',
};

test('The configuration page says what the schemas say (npm run docs:configuration writes it)', async () => {
  expect(await writtenPage()).toBe(await configurationPage());
});

test.each(Object.keys(ROLE_ENVIRONMENTS))('Every variable of %s is described', (role) => {
  const undescribed = variablesOf(ROLE_ENVIRONMENTS[role]!).filter(({ description }) => description === '');
  expect(undescribed.map(({ name }) => name)).toEqual([]);
});

test.each(['compact', 'separate'] as const)(
  'In the layout %s the stack gives every role an environment that its schema accepts',
  (layout) => {
    for (const [name, { env, entry }] of rolesOf(settings, layout)) {
      expect(existsSync(join(PROJECT_ROOT, entry)), entry).toBe(true);
      expect(() => parseEnv(ROLE_ENVIRONMENTS[name]!, env), name).not.toThrow();
    }
  },
);

test('A service on its own sees no other service’s database, and no payload key that it has no use for', () => {
  const roles = Object.fromEntries(rolesOf(settings, 'separate'));
  const databases = (name: string) =>
    Object.keys(roles[name]!.env).filter((one) => one.endsWith('DATABASE_URL'));
  expect(databases('account')).toEqual(['ACCOUNT_DATABASE_URL']);
  expect(databases('api')).toEqual([]);
  expect(roles['account']!.env).not.toHaveProperty('PAYLOAD_KEYS');
  expect(roles['api']!.env).not.toHaveProperty('PAYLOAD_KEYS');
  expect(roles['drone']!.env).toHaveProperty('PAYLOAD_KEYS');
});

test('A table for the terminal has a line for each variable with its default', () => {
  const table = environmentTable(ROLE_ENVIRONMENTS['worker']!);
  expect(table.split('\n')).toHaveLength(variablesOf(ROLE_ENVIRONMENTS['worker']!).length);
  expect(table).toMatch(/PORT .* \(default 4300\)/);
  expect(table).toMatch(/PAYLOAD_KEYS .* \(required\)/);
});

test('The README’s links lead somewhere, and its commands exist', () => {
  const readme = readFileSync(join(PROJECT_ROOT, 'README.md'), 'utf8');
  const { scripts } = JSON.parse(readFileSync(join(PROJECT_ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  const links = [...readme.matchAll(/\]\((?!http|#)([^)#]+)/g)].map(([, path]) => path!);
  expect(links.filter((path) => !existsSync(join(PROJECT_ROOT, path)))).toEqual([]);
  const commands = [...readme.matchAll(/npm run ([\w:]+)/g)].map(([, name]) => name!);
  expect(commands.filter((name) => !(name in scripts))).toEqual([]);
});

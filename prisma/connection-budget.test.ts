import { expect, it } from 'vitest';
import { postgresAdminUrl } from '../test/support/postgres.ts';
import { budgetedConnections, CONNECTION_BUDGET, MAX_CONNECTIONS, POOL_SIZE } from './connection-budget.ts';
import { withClient } from './provision.ts';
import { SERVICES } from './services.ts';

it('the connections of all roles together fit the server', () => {
  expect(budgetedConnections(), JSON.stringify(CONNECTION_BUDGET, null, 1)).toBeLessThanOrEqual(
    MAX_CONNECTIONS,
  );
});

it('every service has a pool', () => {
  expect(Object.keys(POOL_SIZE).sort()).toEqual([...SERVICES].sort());
  for (const size of Object.values(POOL_SIZE)) expect(size).toBeGreaterThan(0);
});

it('the embedded server grants the budget', async () => {
  await withClient(postgresAdminUrl(), async (admin) => {
    const { rows } = await admin.query<{ max: number; reserved: number }>(
      `SELECT current_setting('max_connections')::int AS max,
              current_setting('superuser_reserved_connections')::int AS reserved`,
    );
    expect(rows).toEqual([{ max: MAX_CONNECTIONS, reserved: 3 }]);
  });
});

// Who may hold how many Postgres connections. The sum fits the server's `max_connections`; a test holds it to that.
import { type ServiceName } from './services.ts';

/** The `max_connections` that the local stack starts its server with, and that a production server needs at least. */
export const MAX_CONNECTIONS = 250;

/** Kept back by Postgres for superusers (`superuser_reserved_connections`). */
const RESERVED_FOR_SUPERUSERS = 3;

/** The pool of one process of each service: the default that a service starts with. */
export const POOL_SIZE: Readonly<Record<ServiceName, number>> = {
  account: 8,
  package: 6,
  drone: 12,
  carrier: 4,
  delivery: 12,
  ingestion: 12,
};

/** The local stack may run any role twice at once (a restart overlaps, a test starts a second process). */
const PROCESSES_PER_SERVICE = 2;

/**
 * Each of Temporal's four services (frontend, history, matching, worker) opens its own pools, one for the default
 * store and one for visibility: `maxConns` of the server's configuration.
 */
export const TEMPORAL_POOL_SIZE = { defaultStore: 16, visibilityStore: 4 } as const;
const TEMPORAL_SERVICES = 4;

/** One for the schema engine, one that holds the lock. Services are migrated one after the other. */
export const MIGRATION_CONNECTIONS = 2;

/** For psql, `prisma studio`, backups, and the sessions of a killed process that the server has not noticed yet. */
const HEADROOM = 20;

export interface BudgetLine {
  role: string;
  connections: number;
}

/** The whole table, one line for each role. */
export const CONNECTION_BUDGET: readonly BudgetLine[] = [
  ...Object.entries(POOL_SIZE).map(([service, size]) => ({
    role: `${service}, ${PROCESSES_PER_SERVICE} processes`,
    connections: size * PROCESSES_PER_SERVICE,
  })),
  { role: 'Temporal default store', connections: TEMPORAL_POOL_SIZE.defaultStore * TEMPORAL_SERVICES },
  { role: 'Temporal visibility store', connections: TEMPORAL_POOL_SIZE.visibilityStore * TEMPORAL_SERVICES },
  { role: 'migrations', connections: MIGRATION_CONNECTIONS },
  { role: 'reserved for superusers', connections: RESERVED_FOR_SUPERUSERS },
  { role: 'headroom', connections: HEADROOM },
];

export function budgetedConnections(): number {
  return CONNECTION_BUDGET.reduce((sum, line) => sum + line.connections, 0);
}

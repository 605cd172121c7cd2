// How every service connects to its data: one pool, sized from the connection budget, that survives a restart of Postgres.
import { createHash } from 'node:crypto';
import { PrismaPg } from '@prisma/adapter-pg';
import { POOL_SIZE } from './connection-budget.ts';
import { schemaOf, type ServiceName } from './services.ts';

export { isDatabaseUnavailable, isSerializationFailure, isUniqueViolation } from './database-errors.ts';

export interface ClientOptions {
  service: ServiceName;
  /** The URL of the service's runtime role. */
  connectionString: string;
  /** Connections of this process; by default what the connection budget grants the service. */
  poolSize?: number;
  /** Told when an idle or busy connection breaks. The pool replaces it by itself. */
  onConnectionLost?: (error: Error) => void;
}

/**
 * The options of a service's Prisma client: `new PrismaClient(clientOptions({ service: 'drone', connectionString }))`.
 */
export function clientOptions(options: ClientOptions): { adapter: PrismaPg } {
  const {
    service,
    connectionString,
    poolSize = POOL_SIZE[service],
    onConnectionLost = () => undefined,
  } = options;
  return {
    adapter: new PrismaPg(
      {
        connectionString,
        max: poolSize,
        application_name: service,
        // Both for a new connection and for a free one of the pool: then the request is answered 503.
        connectionTimeoutMillis: 3_000,
        idleTimeoutMillis: 60_000,
        keepAlive: true,
        // A server that accepts and never answers must not hold the pool for ever.
        query_timeout: 30_000,
      },
      {
        schema: schemaOf(service),
        onPoolError: onConnectionLost,
        onConnectionError: onConnectionLost,
        statementNameGenerator: preparedStatementNames(),
      },
    ),
  };
}

/** Enough for all that a service asks; lists of varying length would otherwise fill the server's memory. */
const MAX_PREPARED_STATEMENTS = 500;

/**
 * Names statements, so that Postgres parses and plans each once in a connection. One that returns `*` stays unnamed:
 * its columns, fixed when it is prepared, would make it fail after a migration that adds one.
 */
function preparedStatementNames(): (query: { sql: string }) => string {
  const names = new Map<string, string>();
  return ({ sql }) => {
    const known = names.get(sql);
    if (known !== undefined) return known;
    if (names.size >= MAX_PREPARED_STATEMENTS) return '';
    const name = /[^(]\*|\(\*[^)]/.test(sql)
      ? ''
      : `p${createHash('sha1').update(sql).digest('hex').slice(0, 20)}`;
    names.set(sql, name);
    return name;
  };
}

/** The service's own Postgres schema. Everything that reads or writes it is in this folder. */
import type { Logger } from '../../../shared/logger.ts';
import { clientOptions } from '../../../prisma/client-options.ts';
import { PrismaClient } from '../../../prisma/drone/generated/client.ts';

export { Prisma } from '../../../prisma/drone/generated/client.ts';
export {
  isDatabaseUnavailable,
  isSerializationFailure,
  isUniqueViolation,
} from '../../../prisma/client-options.ts';

export type Database = PrismaClient;

export function openDatabase(connectionString: string, logger: Logger, poolSize?: number): Database {
  return new PrismaClient(
    clientOptions({
      service: 'drone',
      connectionString,
      ...(poolSize !== undefined && { poolSize }),
      onConnectionLost: (error) => logger.warn({ err: error }, 'a database connection was lost'),
    }),
  );
}

/** The app of a service that owns data: the common HTTP app, whose readiness and errors know the service's database. */
import type { FastifyInstance } from 'fastify';
import {
  isDatabaseUnavailable,
  isSerializationFailure,
  isUnstorableValue,
} from '../prisma/database-errors.ts';
import { Problem } from '../shared/errors.ts';
import { type AppOptions, createApp } from '../shared/http/server.ts';

/** What is needed of a service's Prisma client. */
export interface ServiceDatabase {
  $queryRawUnsafe(query: string): Promise<unknown>;
  $disconnect(): Promise<void>;
}

/** Ready when the database answers; 503 with `Retry-After` when it does not; closes the pool with the app. */
export async function createServiceApp(
  database: ServiceDatabase,
  options: AppOptions,
): Promise<FastifyInstance> {
  const app = await createApp({ mapError: databaseProblem, ...options });
  app.addReadinessCheck('database', () => database.$queryRawUnsafe('SELECT 1'));
  app.addHook('onClose', () => database.$disconnect());
  return app;
}

/** A database's error as what the caller can do about it; undefined when it is a defect of ours. */
export function databaseProblem(error: unknown): Problem | undefined {
  if (isDatabaseUnavailable(error) || isSerializationFailure(error)) {
    return new Problem('unavailable', {
      detail: 'The database is not available at the moment. It is safe to repeat the request.',
      retryAfterS: 2,
      cause: error,
    });
  }
  if (isUnstorableValue(error)) {
    const message =
      'holds a value that cannot be stored: the character U+0000 in a text, or a time out of range';
    return new Problem('invalid-request', {
      detail: `The request ${message}.`,
      errors: [{ field: 'body', message }],
      cause: error,
    });
  }
  return undefined;
}

/** What reaches the services from the activities, seen at the services' own doors. */
import type { FastifyInstance } from 'fastify';
import type { Faults } from './faults.ts';

/** To be called before the service listens. Sees also what its schemas refuse. */
export function recordRequests(service: string, app: FastifyInstance, faults: Faults): void {
  app.addHook('preValidation', (request, _reply, done) => {
    const key = request.headers['idempotency-key'];
    faults.noteRequest(request.id, {
      service,
      operation: request.routeOptions.schema?.operationId ?? request.url,
      method: request.method,
      key: typeof key === 'string' ? key : undefined,
      body: JSON.stringify(request.body ?? null),
    });
    done();
  });
}

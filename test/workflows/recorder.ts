/** What reaches the services, seen at the services' own doors. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Faults } from './faults.ts';

/** To be called before the service listens. Notes what comes from the activities, also what its schemas refuse. */
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

/**
 * Calls `tell` whenever the service may be about to change, or has changed, because somebody asked for it. To be called before it
 * listens. Telemetry does not count: who posts it looks at what it brings about.
 */
export function noticeChanges(app: FastifyInstance, tell: () => void): void {
  const changes = ({ method, routeOptions }: FastifyRequest) =>
    method !== 'GET' && routeOptions.schema?.operationId !== 'postTelemetry';
  // As it comes and when it is done: who looked in between may have looked too early.
  app.addHook('preValidation', (request, _reply, done) => {
    if (changes(request)) tell();
    done();
  });
  app.addHook('onSend', (request, _reply, _payload, done) => {
    if (changes(request)) tell();
    done();
  });
}

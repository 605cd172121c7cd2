/** Bodies: JSON only, and some operations do without one. */
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';

async function bodies(app: FastifyInstance): Promise<void> {
  app.removeContentTypeParser('text/plain');
  const parseJson = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '' && request.routeOptions.config.bodyOptional === true) done(null, {});
    // It answers through `done`; its type only allows for a promise.
    else void parseJson(request, body, done);
  });
  // Without a content type nothing was parsed.
  app.addHook('preValidation', (request, _reply, done) => {
    if (request.routeOptions.config.bodyOptional === true) request.body ??= {};
    done();
  });
}

export default fp(bodies, { name: 'bodies' });

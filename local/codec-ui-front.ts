/**
 * Shows the Temporal UI through the codec server. A development server's UI cannot be told to send cookies to a codec
 * server of another origin; seen through here, both have the same origin and the browser sends them by itself.
 */
import type { FastifyInstance } from 'fastify';
import { Readable } from 'node:stream';
import { Agent, request as send } from 'undici';
import { Problem } from '../shared/errors.ts';

/** Concern one connection, not the message; https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1 */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
  'te',
  'trailer',
  'host',
]);

/** Every path that nothing else answers goes to `upstream` as it is. */
export function forwardToUi(app: FastifyInstance, upstream: string): void {
  const agent = new Agent({ connect: { timeout: 2_000 } });
  const upstreamOrigin = new URL(upstream).origin;
  app.addHook('onClose', () => agent.close());
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
  app.route({
    method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
    url: '/*',
    schema: { hide: true },
    handler: async (request, reply) => {
      const headers = Object.fromEntries(
        Object.entries(request.headers).filter(
          ([name, value]) => value !== undefined && !HOP_BY_HOP.has(name),
        ),
      );
      // The UI compares the page's origin with its own before it lets an operator act.
      if (headers['origin'] !== undefined) headers['origin'] = upstreamOrigin;
      const answer = await send(upstreamOrigin + request.url, {
        dispatcher: agent,
        method: request.method as 'GET',
        headers,
        body: request.body instanceof Readable ? request.body : null,
      }).catch((error: unknown) => {
        throw new Problem('unavailable', {
          detail: 'The Temporal UI does not answer.',
          retryAfterS: 2,
          cause: error,
        });
      });
      for (const [name, value] of Object.entries(answer.headers)) {
        if (value !== undefined && !HOP_BY_HOP.has(name)) void reply.header(name, value);
      }
      return reply.code(answer.statusCode).send(answer.body);
    },
  });
}

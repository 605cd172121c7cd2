/** Headers of every answer of the API: nothing guesses a type, frames it, keeps it where it should not, or leaks an address. */
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';

const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
} as const;

async function responseHeaders(app: FastifyInstance): Promise<void> {
  app.addHook('onRequest', (_request, reply, done) => {
    void reply.headers(HEADERS);
    done();
  });
}

export default fp(responseHeaders, { name: 'response-headers' });

/** The floor of an accept: a Fastify route that keeps its body with one committed INSERT, and does nothing else. */
import Fastify from 'fastify';
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { Type } from 'typebox';
import { POOL_SIZE } from '../../prisma/connection-budget.ts';
import { parseEnv } from '../../shared/config.ts';
import { createLogger } from '../../shared/logger.ts';
import { runRole } from '../../shared/role.ts';

const Environment = Type.Object({ BENCH_DATABASE_URL: Type.String() });

await runRole(createLogger({ role: 'bench-bare-route' }), async () => {
  const env = parseEnv(Environment);
  // As many connections as ingestion holds; they come out of the budget's headroom.
  const pool = new pg.Pool({ connectionString: env.BENCH_DATABASE_URL, max: POOL_SIZE.ingestion });
  await pool.query('CREATE TABLE IF NOT EXISTS request (id uuid PRIMARY KEY, body jsonb NOT NULL)');
  const app = Fastify();
  app.post('/bare', async (request, reply) => {
    const id = randomUUID();
    await pool.query({
      name: 'insert',
      text: 'INSERT INTO request (id, body) VALUES ($1, $2)',
      values: [id, JSON.stringify(request.body)],
    });
    return reply.code(201).send({ id });
  });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  return {
    url,
    async close() {
      await app.close();
      await pool.end();
    },
  };
});

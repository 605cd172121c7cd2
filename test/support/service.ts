// A service as a test uses it: listening on a free port of loopback, called through the typed client of its contract.
import type { FastifyInstance } from 'fastify';
import { createClient, type Client } from '../../shared/http/client.ts';
import type { Contract } from '../../shared/http/contract.ts';
import { createLogger } from '../../shared/logger.ts';

export const silentLogger = createLogger({ role: 'test', level: 'silent' });

export interface ServedService<C extends Contract> {
  app: FastifyInstance;
  client: Client<C>;
  url: string;
  close(): Promise<void>;
}

export async function serve<C extends Contract>(
  app: FastifyInstance,
  contract: C,
): Promise<ServedService<C>> {
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  const client = createClient(contract, { baseUrl: url });
  return {
    app,
    client,
    url,
    async close() {
      await client.close();
      await app.close();
    },
  };
}

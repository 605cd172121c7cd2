// A small real server in the place of a service: it keeps to the contract, answers what a test tells it to, and goes down on demand.
import type { AddressInfo } from 'node:net';
import { type Client, createClient } from '../../shared/http/client.ts';
import type { Contract } from '../../shared/http/contract.ts';
import { createApp, type Handlers, implement } from '../../shared/http/server.ts';
import { Problem } from '../../shared/errors.ts';
import { silentLogger } from './service.ts';
import { startTcpRelay } from './tcp-relay.ts';

export interface StandIn<C extends Contract> {
  url: string;
  client: Client<C>;
  /** How often an operation was called. */
  calls(operation: keyof C): number;
  /** Goes down: connections end, new ones are refused. */
  cut(): Promise<void>;
  /** Comes back on the same port. */
  mend(): Promise<void>;
  close(): Promise<void>;
}

/** Operations without a handler answer 500: a test that needs one says so. */
export async function standIn<C extends Contract>(
  contract: C,
  handlers: Partial<Handlers<C>>,
): Promise<StandIn<C>> {
  const counts = new Map<PropertyKey, number>();
  const app = await createApp({ name: 'stand-in', logger: silentLogger });
  const all = Object.fromEntries(
    Object.keys(contract).map((operation) => [
      operation,
      async (...args: unknown[]) => {
        counts.set(operation, (counts.get(operation) ?? 0) + 1);
        const handler = handlers[operation] as ((...args: unknown[]) => Promise<unknown>) | undefined;
        if (!handler) throw new Problem('internal', { detail: `The stand-in has no ${operation}` });
        return handler(...args);
      },
    ]),
  );
  implement(app, contract, all as unknown as Handlers<C>);
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const relay = await startTcpRelay(`http://127.0.0.1:${port}`);
  const url = relay.through(`http://127.0.0.1:${port}`).replace(/\/$/, '');
  const client = createClient(contract, { baseUrl: url });
  return {
    url,
    client,
    calls: (operation) => counts.get(operation) ?? 0,
    cut: () => relay.cut(),
    mend: () => relay.mend(),
    async close() {
      await client.close();
      await relay.close();
      await app.close();
    },
  };
}

/** What the tests of the delivery service share: a running service, a delivery to write, the way to a status. */
import { pino } from 'pino';
import { createClient } from '../../../shared/http/client.ts';
import { newId } from '../../../shared/ids.ts';
import {
  type DeliveryCreation,
  deliveryContract,
  type DeliveryStatus,
  type NewDeliveryEvent,
  TRANSITIONS,
} from '../contract/index.ts';
import { buildDeliveryService, type DeliveryServiceOptions } from '../service.ts';

export const CREATED_AT = '2026-03-01T12:00:00.000Z';

export async function runningDeliveryService(
  databaseUrl: string,
  options: Partial<DeliveryServiceOptions> = {},
) {
  const app = await buildDeliveryService({
    databaseUrl,
    poolSize: 6,
    logger: pino({ level: process.env['TEST_LOG_LEVEL'] ?? 'silent' }),
    ...options,
  });
  const baseUrl = await app.listen({ host: '127.0.0.1', port: 0 });
  const client = createClient(deliveryContract, { baseUrl, timeoutMs: 40_000 });
  return {
    app,
    baseUrl,
    client,
    close: async () => {
      await client.close();
      await app.close();
    },
  };
}

export type RunningDeliveryService = Awaited<ReturnType<typeof runningDeliveryService>>;

export function aCreation(overrides: Partial<DeliveryCreation> = {}): DeliveryCreation {
  return {
    id: newId('delivery'),
    account_id: newId('account'),
    livemode: true,
    external_id: null,
    pickup: {
      location: { latitude: 47.6419, longitude: -122.1265 },
      address: '1 Sender Street',
      contact: { name: 'Sam Sender', phone: '+14255550100' },
      notes: 'Ring twice',
    },
    dropoff: {
      location: { latitude: 47.6205, longitude: -122.3493 },
      contact: { name: 'Rita Recipient', email: 'rita@example.com' },
    },
    packages: [{ id: newId('package'), size: 'small', weight_kg: 1.2, tag: 'DD-1' }],
    expedited: false,
    deadline: null,
    confirmation: 'none',
    undeliverable_action: 'return',
    metadata: { order: '4711' },
    price: { amount: 1499, currency: 'USD' },
    created_at: CREATED_AT,
    eta: { status: 'pending', pickup_at: null, dropoff_at: null },
    ...overrides,
  };
}

let minutes = 0;
/** An event that changes the status. */
export function toStatus(
  status: DeliveryStatus,
  overrides: Partial<NewDeliveryEvent> = {},
): NewDeliveryEvent {
  minutes += 1;
  const occurredAt = new Date(Date.parse(CREATED_AT) + minutes * 60_000).toISOString();
  return { type: `delivery.${status}`, status, occurred_at: occurredAt, ...overrides };
}

/** The shortest way from `created` to a status, without `created` itself. */
export function pathTo(status: DeliveryStatus): DeliveryStatus[] {
  const ways: DeliveryStatus[][] = [[]];
  for (const way of ways) {
    const at = way.at(-1) ?? 'created';
    if (at === status) return way;
    for (const next of TRANSITIONS[at]) if (!way.includes(next)) ways.push([...way, next]);
  }
  throw new Error(`There is no way to ${status}`);
}

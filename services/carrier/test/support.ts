// A carrier service whose wall the test moves, and a workflow port that keeps what it is told.
import { LIVE_CLOCK, type ClockSettings } from '../../../shared/clock.ts';
import { newId, type DeliveryId, type QuoteId } from '../../../shared/ids.ts';
import type { PickupWindow } from '../../../shared/schemas.ts';
import type { DeliveryWorkflows } from '../../../shared/temporal/delivery-workflows.ts';
import type { ServiceDatabase } from '../../../test/support/postgres.ts';
import { serve, silentLogger, type ServedService } from '../../../test/support/service.ts';
import { CARRIER_MILESTONE_SIGNAL, type CarrierMilestoneSignal } from '../../../workflows/messages.ts';
import { carrierContract } from '../contract/index.ts';
import { buildCarrierService } from '../service.ts';

export const NOON_MS = Date.parse('2026-03-01T12:00:00Z');

/** Two places in Seattle, 5.02 km apart. */
export const PICKUP = { location: { latitude: 47.6205, longitude: -122.3493 } };
export const DROPOFF = { location: { latitude: 47.6615, longitude: -122.3212 } };

/** No matter when. */
export const ANY_TIME = { deadlineMs: null, pickupFromMs: null, pickupByMs: null };

export class HeardSignals implements Pick<DeliveryWorkflows, 'signal'> {
  readonly signals: { deliveryId: DeliveryId; signal: CarrierMilestoneSignal }[] = [];
  /** Throw this many times, as when Temporal is down. */
  failures = 0;
  /** Workflows that have ended. */
  readonly gone = new Set<DeliveryId>();
  /** Awaited before a signal is answered. */
  gate: Promise<void> = Promise.resolve();

  async signal(deliveryId: DeliveryId, name: string, payload: unknown): Promise<'signalled' | 'gone'> {
    await this.gate;
    if (this.failures > 0) {
      this.failures -= 1;
      throw new Error('Temporal is down');
    }
    if (name !== CARRIER_MILESTONE_SIGNAL) throw new Error(`Nobody asked for ${name}`);
    if (this.gone.has(deliveryId)) return 'gone';
    this.signals.push({ deliveryId, signal: payload as CarrierMilestoneSignal });
    return 'signalled';
  }

  of(deliveryId: DeliveryId): CarrierMilestoneSignal[] {
    return this.signals.filter((one) => one.deliveryId === deliveryId).map(({ signal }) => signal);
  }
}

export interface CarrierUnderTest extends ServedService<typeof carrierContract> {
  workflows: HeardSignals;
}

export async function serveCarrier(
  database: ServiceDatabase,
  wall: () => number,
  workflows = new HeardSignals(),
): Promise<CarrierUnderTest> {
  const app = await buildCarrierService({
    databaseUrl: database.url,
    logger: silentLogger,
    poolSize: 4,
    wall,
    workflows,
  });
  return { ...(await serve(app, carrierContract)), workflows };
}

const accountId = newId('account');

/** The calls of one delivery's steps. */
export function stepsOf(
  { client }: ServedService<typeof carrierContract>,
  deliveryId: DeliveryId = newId('delivery'),
  over: {
    clock?: ClockSettings;
    weightKg?: number;
    dropoff?: typeof DROPOFF;
    deadline?: string | null;
    pickup_window?: PickupWindow;
  } = {},
) {
  const job = {
    delivery_id: deliveryId,
    account_id: accountId,
    livemode: true,
    pickup: PICKUP,
    dropoff: over.dropoff ?? DROPOFF,
    weight_kg: over.weightKg ?? 1.2,
    clock: over.clock ?? LIVE_CLOCK,
  };
  const bookKey = `${deliveryId}/book/1`;
  const times = {
    deadline: over.deadline ?? null,
    ...(over.pickup_window && { pickup_window: over.pickup_window }),
  };
  const quote = (key = `${deliveryId}/quote/1`) =>
    client.quote({ body: { ...job, ...times } }, { idempotencyKey: key });
  return {
    deliveryId,
    bookKey,
    job,
    quote,
    async quoteId() {
      const answer = await quote();
      if (answer.outcome !== 'quoted') throw new Error(answer.detail);
      return answer.quote_id;
    },
    book: (quoteId: QuoteId, key = bookKey) =>
      client.book({ body: { ...job, quote_id: quoteId } }, { idempotencyKey: key }),
    async booked() {
      const answer = await this.book(await this.quoteId());
      if (answer.outcome !== 'booked') throw new Error(answer.detail);
      return answer.booking;
    },
    cancel: (key = `${deliveryId}/cancel_booking/1`) =>
      client.cancelBooking(
        { body: { book_key: bookKey, delivery_id: deliveryId, account_id: accountId } },
        { idempotencyKey: key },
      ),
    writeOff: (key = `${deliveryId}/write_off_booking/1`) =>
      client.writeOffBooking(
        { body: { book_key: bookKey, delivery_id: deliveryId, account_id: accountId } },
        { idempotencyKey: key },
      ),
  };
}

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withClient } from '../../prisma/provision.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import { anAccept, type Ingestion, startWorld, type World } from './world.ts';

const WITHIN = { timeout: 25_000, interval: 50 };
let world: World;
beforeEach(async () => {
  world = await startWorld();
});
afterEach(() => world.close());

async function accept(service: Ingestion, count: number): Promise<DeliveryId[]> {
  const answers = await Promise.all(
    Array.from({ length: count }, () => service.client.accept({ body: anAccept() })),
  );
  return answers.map((answer) => answer.delivery.id);
}
const unprojected = async (service: Ingestion) => (await service.client.backlog({})).unprojected;
const eventTypes = async (id: DeliveryId) =>
  (await world.delivery.listEvents({ params: { delivery_id: id }, query: {} })).data.map(
    (event) => event.type,
  );

describe('the projector', () => {
  it('brings an accept to the delivery service at once, without Temporal, as it was answered', async () => {
    world.workflows.down = true;
    const service = await world.ingestion();
    const { delivery } = await service.client.accept({
      body: anAccept({ request: { metadata: { a: 'b' } } }),
    });
    await expect.poll(() => unprojected(service), WITHIN).toBe(0);
    const { updated_at: _, ...projected } = await world.delivery.getDelivery({
      params: { delivery_id: delivery.id },
    });
    const { updated_at: __, ...answered } = delivery;
    expect(projected).toEqual(answered);
    expect(await service.client.getRequested({ params: { delivery_id: delivery.id } })).toMatchObject({
      projected: true,
    });
  });

  it('waits for a delivery service that is down: none lost, none doubled', async () => {
    await world.cutDelivery();
    const service = await world.ingestion();
    const ids = await accept(service, 50);
    await expect.poll(() => unprojected(service), WITHIN).toBe(50);
    await world.mendDelivery();
    await expect.poll(() => unprojected(service), WITHIN).toBe(0);
    for (const id of ids) expect(await eventTypes(id)).toEqual(['delivery.created']);
  });

  it('projects what a process that is gone has left', async () => {
    let nowMs = Date.now();
    const first = await world.ingestion({ pumps: false });
    const ids = await accept(first, 30);
    // Started already: whoever starts a workflow projects its delivery at once, whosever it is.
    await withClient(world.database.services.ingestion.url, (session) =>
      session.query("UPDATE delivery_requests SET state = 'started'"),
    );
    const second = await world.ingestion({ pumps: false, wall: () => nowMs });
    await second.app.ingestionPumps.runDue();
    // For a moment it is left to the process that accepted it.
    expect(await unprojected(second)).toBe(30);
    nowMs += 10_000;
    await second.app.ingestionPumps.runDue();
    expect(await unprojected(second)).toBe(0);
    for (const id of ids) expect(await eventTypes(id)).toEqual(['delivery.created']);
  });

  it('tells of a cancel before the start, after the accept', async () => {
    await world.cutDelivery();
    const service = await world.ingestion({ pumps: false });
    const [id] = (await accept(service, 1)) as [DeliveryId];
    const answer = await service.client.cancel({
      params: { delivery_id: id },
      body: { account_id: null, reason: 'duplicate', actor: { role: 'operator', id: 'op' } },
    });
    expect(answer.outcome).toBe('cancelled');
    const requested = await service.client.getRequested({ params: { delivery_id: id } });
    expect(requested).toMatchObject({ state: 'cancelled', projected: false });
    expect(requested.delivery).toMatchObject({ status: 'cancelled', sequence: 2, complete: true });
    await world.mendDelivery();
    const later = await world.ingestion({ wall: () => Date.now() + 60_000 });
    await expect.poll(() => unprojected(later), WITHIN).toBe(0);
    expect(await eventTypes(id)).toEqual(['delivery.created', 'delivery.cancelled']);
    const { updated_at: _, ...projected } = await world.delivery.getDelivery({ params: { delivery_id: id } });
    const { updated_at: __, ...fromRow } = requested.delivery;
    expect(projected).toEqual(fromRow);
  });
});

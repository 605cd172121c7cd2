import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Problem } from '../../../shared/errors.ts';
import { withClient } from '../../../prisma/provision.ts';
import { newId } from '../../../shared/ids.ts';
import { createServiceDatabase, type ServiceDatabase } from '../../../test/support/postgres.ts';
import type { DeliveryCreation, NewDeliveryEvent } from '../contract/index.ts';
import {
  aCreation,
  CREATED_AT,
  pathTo,
  type RunningDeliveryService,
  runningDeliveryService,
  toStatus,
} from './support.ts';

let database: ServiceDatabase;
let one: RunningDeliveryService;
/** A second process on the same data. */
let two: RunningDeliveryService;
let wallMs = Date.parse(CREATED_AT);

beforeAll(async () => {
  database = await createServiceDatabase('delivery');
  one = await runningDeliveryService(database.url, { wall: () => wallMs });
  two = await runningDeliveryService(database.url, { wall: () => wallMs });
});
afterAll(async () => {
  await one.close();
  await two.close();
  await database.drop();
});

async function created(overrides: Partial<DeliveryCreation> = {}) {
  return one.client.createDelivery({ body: aCreation(overrides) });
}
const append = (
  service: RunningDeliveryService,
  id: Awaited<ReturnType<typeof created>>['id'],
  key: string,
  ...events: NewDeliveryEvent[]
) => service.client.appendEvents({ params: { delivery_id: id }, body: { events } }, { idempotencyKey: key });
const eventsOf = async (id: Awaited<ReturnType<typeof created>>['id']) =>
  (await one.client.listEvents({ params: { delivery_id: id }, query: { limit: 200 } })).data;
const problemOf = (work: Promise<unknown>): Promise<Problem> =>
  work.then(
    () => expect.unreachable('it was not refused'),
    (error: unknown) => error as Problem,
  );

describe('createDelivery', () => {
  it('writes the delivery with event 1', async () => {
    const creation = aCreation({ external_id: 'order-1' });
    const delivery = await one.client.createDelivery({ body: creation });
    expect(delivery).toMatchObject({ ...creation, status: 'created', sequence: 1, complete: false });
    expect(await one.client.getDelivery({ params: { delivery_id: creation.id } })).toEqual(delivery);
    expect(await eventsOf(creation.id)).toMatchObject([
      { sequence: 1, type: 'delivery.created', status: 'created', occurred_at: CREATED_AT },
    ]);
  });

  it('twenty times at once, in two processes, is once', async () => {
    const creation = aCreation();
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        (index % 2 ? one : two).client.createDelivery({ body: creation }),
      ),
    );
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(await eventsOf(creation.id)).toHaveLength(1);
  });

  it('answers a repetition with what the delivery is by now', async () => {
    const creation = aCreation();
    await one.client.createDelivery({ body: creation });
    await append(one, creation.id, 'k', toStatus('confirmed'));
    expect(await one.client.createDelivery({ body: creation })).toMatchObject({
      status: 'confirmed',
      sequence: 2,
    });
  });

  it('refuses the id of another account’s delivery', async () => {
    const { id } = await created();
    const problem = await problemOf(one.client.createDelivery({ body: aCreation({ id }) }));
    expect(problem).toMatchObject({ status: 409, reason: 'id_taken' });
  });
});

describe('createDeliveries', () => {
  it('writes many in one statement, and of those that are there nothing', async () => {
    const creations = Array.from({ length: 30 }, () => aCreation());
    const known = await one.client.createDelivery({ body: creations[7]! });
    const { created: ids } = await one.client.createDeliveries({ body: { deliveries: creations } });
    expect([...ids, known.id].sort()).toEqual(creations.map((creation) => creation.id).sort());
    for (const creation of creations) {
      const delivery = await two.client.getDelivery({ params: { delivery_id: creation.id } });
      expect(delivery).toMatchObject({ ...creation, status: 'created', sequence: 1 });
    }
    await append(one, creations[3]!.id, 'k', toStatus('confirmed'));
  });

  it('batches that two processes write in another order do not get in each other’s way', async () => {
    for (let round = 0; round < 10; round += 1) {
      const deliveries = Array.from({ length: 20 }, () => aCreation());
      const answers = await Promise.all([
        one.client.createDeliveries({ body: { deliveries } }),
        two.client.createDeliveries({ body: { deliveries: [...deliveries].reverse() } }),
      ]);
      expect(answers.flatMap((answer) => answer.created).sort()).toEqual(
        deliveries.map((creation) => creation.id).sort(),
      );
    }
  });
});

describe('appendEvents', () => {
  it('writes the events and applies them, and answers a repetition the same, in any process', async () => {
    const { id } = await created();
    const events = [toStatus('awaiting_drone', { patch: { delayed: true } }), toStatus('confirmed')];
    const first = await append(one, id, `${id}/plan/1`, ...events);
    expect(first).toEqual({ first_sequence: 2, last_sequence: 3, status: 'confirmed' });
    await append(one, id, `${id}/fly/1`, toStatus('enroute_to_pickup'));
    for (const service of [one, two, one])
      expect(await append(service, id, `${id}/plan/1`, ...events)).toEqual(first);
    expect((await eventsOf(id)).map((event) => event.status)).toEqual([
      'created',
      'awaiting_drone',
      'confirmed',
      'enroute_to_pickup',
    ]);
  });

  it('writes only after the event that its writer saw, when told so, in any process; a repetition is one all the same', async () => {
    const { id } = await created();
    const decide = (service: RunningDeliveryService, key: string, after_sequence: number) =>
      service.client.appendEvents(
        { params: { delivery_id: id }, body: { events: [toStatus('failed')], after_sequence } },
        { idempotencyKey: key },
      );
    await append(one, id, 'other', { type: 'delivery.overdue', occurred_at: CREATED_AT });
    for (const service of [one, two]) {
      const problem = await problemOf(decide(service, 'late', 1));
      expect(problem).toMatchObject({ status: 409, reason: 'overtaken' });
    }
    const decided = await decide(two, 'in time', 2);
    expect(decided).toEqual({ first_sequence: 3, last_sequence: 3, status: 'failed' });
    for (const service of [one, two]) expect(await decide(service, 'in time', 2)).toEqual(decided);
    expect(await eventsOf(id)).toHaveLength(3);
  });

  it('twenty repetitions at once write once', async () => {
    const { id } = await created();
    const event = toStatus('confirmed');
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => append(index % 2 ? one : two, id, 'same', event)),
    );
    for (const answer of answers)
      expect(answer).toEqual({ first_sequence: 2, last_sequence: 2, status: 'confirmed' });
    expect(await eventsOf(id)).toHaveLength(2);
  });

  it('forty writers in two processes: all written, numbered without a gap', async () => {
    const { id } = await created();
    const note = (index: number): NewDeliveryEvent => ({
      type: 'delivery.note',
      occurred_at: CREATED_AT,
      data: { index },
    });
    await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        append(index % 2 ? one : two, id, `note/${index}`, note(index)),
      ),
    );
    const events = await eventsOf(id);
    expect(events.map((event) => event.sequence)).toEqual(Array.from({ length: 41 }, (_, i) => i + 1));
    expect(new Set(events.slice(1).map((event) => event.data['index'])).size).toBe(40);
  });

  it('of two rival endings exactly one is written', async () => {
    for (let round = 0; round < 20; round += 1) {
      const { id } = await created();
      const outcomes = await Promise.allSettled([
        append(one, id, 'a', toStatus('cancelled')),
        append(two, id, 'b', toStatus('failed')),
      ]);
      expect(outcomes.map((outcome) => outcome.status).sort()).toEqual(['fulfilled', 'rejected']);
      expect(await eventsOf(id)).toHaveLength(2);
    }
  });

  it('refuses what the state machine forbids, and writes nothing of that append', async () => {
    const { id } = await created();
    const problem = await problemOf(append(one, id, 'k', toStatus('confirmed'), toStatus('delivered')));
    expect(problem).toMatchObject({ status: 409, slug: 'conflict', reason: 'illegal_transition' });
    expect(problem.detail).toContain('from confirmed to delivered');
    expect(await eventsOf(id)).toHaveLength(1);
    await append(one, id, 'k', toStatus('confirmed'));
  });

  it('answers 404 until the delivery is there', async () => {
    const creation = aCreation();
    const problem = await problemOf(append(one, creation.id, 'k', toStatus('confirmed')));
    expect(problem).toMatchObject({ status: 404, slug: 'not-found' });
    await one.client.createDelivery({ body: creation });
    await append(one, creation.id, 'k', toStatus('confirmed'));
  });

  it('names every wrong field of a malformed event', async () => {
    const { id } = await created();
    const problem = await problemOf(
      append(one, id, 'k', {
        ...toStatus('confirmed'),
        type: 'Confirmed!',
        occurred_at: 'noon',
        patch: { attempt: -1 },
      }),
    );
    expect(problem.status).toBe(400);
    expect(problem.errors?.map((error) => error.field).sort()).toEqual([
      'events[0].occurred_at',
      'events[0].patch.attempt',
      'events[0].type',
    ]);
  });

  it('takes a leap second', async () => {
    const { id } = await created();
    await append(one, id, 'k', toStatus('confirmed', { occurred_at: '2016-12-31T23:59:60Z' }));
    expect((await eventsOf(id))[1]?.occurred_at).toBe('2016-12-31T23:59:59.999Z');
  });
});

describe('reading', () => {
  it('tells that a delivery is imminent as time goes on, without an event', async () => {
    const { id } = await created();
    const dropoff_at = new Date(wallMs + 10 * 60_000).toISOString();
    await append(one, id, 'k', ...pathTo('enroute_to_dropoff').map((status) => toStatus(status)), {
      type: 'delivery.eta_changed',
      occurred_at: CREATED_AT,
      patch: { eta: { status: 'confirmed', pickup_at: null, dropoff_at } },
    });
    const read = () => one.client.getDelivery({ params: { delivery_id: id } });
    expect((await read()).imminent).toBe(false);
    wallMs += 9.5 * 60_000;
    expect((await read()).imminent).toBe(true);
  });

  it('pages through a timeline', async () => {
    const { id } = await created();
    await append(one, id, 'k', ...pathTo('delivered').map((status) => toStatus(status)));
    const seen: number[] = [];
    let cursor: string | null | undefined;
    do {
      const page = await one.client.listEvents({
        params: { delivery_id: id },
        query: { limit: 3, ...(cursor && { cursor }) },
      });
      seen.push(...page.data.map((event) => event.sequence));
      cursor = page.next_cursor;
    } while (cursor);
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    const rest = await one.client.listEvents({ params: { delivery_id: id }, query: { after_sequence: 6 } });
    expect(rest.data.map((event) => event.sequence)).toEqual([7, 8]);
    const unknown = one.client.listEvents({ params: { delivery_id: newId('delivery') }, query: {} });
    expect((await problemOf(unknown)).status).toBe(404);
  });

  it('pages through deliveries, newest first, each once', async () => {
    const account_id = newId('account');
    const ids: string[] = [];
    for (let index = 0; index < 7; index += 1) {
      ids.push((await created({ account_id })).id);
      // Ids of the same millisecond have no order.
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const seen: string[] = [];
    let cursor: string | null | undefined;
    do {
      const page = await one.client.listDeliveries({
        query: { account_id, limit: 3, ...(cursor && { cursor }) },
      });
      seen.push(...page.data.map((delivery) => delivery.id));
      cursor = page.next_cursor;
    } while (cursor);
    expect(seen).toEqual(ids.reverse());
    const wrong = one.client.listDeliveries({ query: { cursor: 'nonsense' } });
    expect(await problemOf(wrong)).toMatchObject({ status: 400, errors: [{ field: 'cursor' }] });
  });

  it('finds deliveries by every filter', async () => {
    const account_id = newId('account');
    const drone_id = newId('drone');
    const plain = await created({ account_id });
    const other = await created({
      account_id,
      external_id: 'order-2',
      livemode: false,
      created_at: '2026-03-02T12:00:00Z',
    });
    const stuck = await created({ account_id });
    await append(one, other.id, 'k', toStatus('confirmed', { patch: { drone_id } }));
    await append(
      one,
      stuck.id,
      'k',
      toStatus('failed', {
        open_intervention: { id: 'i', kind: 'k', reason: 'r', answers: [] },
        patch: { complete: true },
      }),
    );
    const find = async (filter: object) =>
      (await one.client.listDeliveries({ query: { account_id, ...filter } })).data
        .map((delivery) => delivery.id)
        .sort();
    const all = [plain.id, other.id, stuck.id].sort();
    expect(await find({})).toEqual(all);
    expect(await find({ livemode: false })).toEqual([other.id]);
    expect(await find({ livemode: true })).toEqual(all.filter((id) => id !== other.id));
    expect(await find({ status: ['confirmed', 'failed'] })).toEqual([other.id, stuck.id].sort());
    expect(await find({ status: ['created'] })).toEqual([plain.id]);
    expect(await find({ external_id: 'order-2' })).toEqual([other.id]);
    expect(await find({ drone_id })).toEqual([other.id]);
    expect(await find({ complete: true })).toEqual([stuck.id]);
    expect(await find({ has_intervention: true })).toEqual([stuck.id]);
    expect(await find({ has_intervention: false })).toEqual([plain.id, other.id].sort());
    expect(await find({ created_after: CREATED_AT })).toEqual([other.id]);
    expect(await find({ created_before: '2026-03-02T12:00:00Z' })).toEqual([plain.id, stuck.id].sort());
    expect(await find({ account_id: newId('account') })).toEqual([]);
  });

  it('is ready with its database', async () => {
    const response = await one.app.inject('/health/ready');
    expect(response.statusCode).toBe(200);
  });
});

describe('a changed dropoff', () => {
  const THERE = {
    location: { latitude: 47.66, longitude: -122.11 },
    address: '12 Elm Street',
    notes: 'ring twice',
  };
  const PRICE = { amount: 4242, currency: 'USD' };
  const change = (dropoff: typeof THERE): NewDeliveryEvent => ({
    type: 'delivery.dropoff_changed',
    occurred_at: CREATED_AT,
    change_dropoff: { dropoff, price: PRICE },
  });

  it('is what the delivery shows, with its price; the event and every later one hold no address', async () => {
    const { id } = await created({
      dropoff: { location: { latitude: 47.7, longitude: -122.1 }, address: 'Old Road 1' },
    });
    await append(one, id, `${id}/event/1`, change(THERE));
    expect(await append(two, id, `${id}/event/1`, change(THERE))).toMatchObject({ last_sequence: 2 });
    await append(two, id, `${id}/event/2`, ...pathTo('confirmed').map((status) => toStatus(status)));
    for (const { client } of [one, two]) {
      const delivery = await client.getDelivery({ params: { delivery_id: id } });
      expect(delivery).toMatchObject({ dropoff: THERE, price: PRICE, status: 'confirmed' });
      expect(JSON.stringify(delivery)).not.toContain('Old Road');
    }
    const rows = await withClient(database.ownerUrl, (owner) =>
      owner.query('SELECT state, data FROM delivery.delivery_events WHERE delivery_id = $1', [id]),
    );
    expect(JSON.stringify(rows.rows)).not.toMatch(/Elm Street|ring twice/);
    const { entries } = await one.client.readFeed({ query: { after: 0, limit: 1000 } });
    const prices = entries
      .filter(({ event }) => event.delivery_id === id)
      .map(({ delivery }) => delivery.price.amount);
    expect(new Set(prices.slice(1))).toEqual(new Set([PRICE.amount]));
  });

  it('does not bring back what was erased', async () => {
    const { id } = await created();
    await withClient(database.ownerUrl, (owner) =>
      owner.query('UPDATE delivery.deliveries SET personal = NULL WHERE id = $1', [id]),
    );
    await append(one, id, `${id}/event/1`, change(THERE));
    const delivery = await one.client.getDelivery({ params: { delivery_id: id } });
    expect(delivery.dropoff).toEqual({ location: THERE.location });
  });
});

/** Changing the dropoff by PATCH: what is asked for, and every answer that the workflow can give. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Delivery } from '../../services/delivery/contract/index.ts';
import type { ChangeDropoffAnswer, ChangeDropoffCommand } from '../../workflows/messages.ts';
import { aRequest, startWorld, type World } from './world.ts';

let world: World;
let key: string;
let foreignKey: string;

beforeAll(async () => {
  world = await startWorld({ ingestion: { cancelWaitMs: 2_000 } });
  ({ key } = await world.makeAccount('Sender'));
  ({ key: foreignKey } = await world.makeAccount('Stranger'));
});
afterAll(() => world.close());

const THERE = { location: { latitude: 47.6601, longitude: -122.1101 }, address: '12 Elm Street' };
const ELSEWHERE = { location: { latitude: 47.6701, longitude: -122.1101 } };
const PRICE = { amount: 4242, currency: 'USD' };

const patch = (id: string, body: unknown, headers: Record<string, string> = {}, viewer = key) =>
  world.call('PATCH', `/v1/deliveries/${id}`, { key: viewer, body, headers });
const fieldsOf = ({ json }: Awaited<ReturnType<typeof patch>>) => (json.errors ?? []).map((one) => one.field);

async function created(): Promise<Delivery> {
  const { json } = await world.call('POST', '/v1/deliveries', { key, body: aRequest() });
  const delivery = json as unknown as Delivery;
  await world.projected(delivery.id);
  return delivery;
}

/** The workflow does it: what it would write, and its answer. */
function workflowChanges(seen: ChangeDropoffCommand[] = []) {
  world.temporal.answerDropoff(async (id, command) => {
    seen.push(command);
    await world.append(id, {
      type: 'delivery.dropoff_changed',
      data: { to: command.dropoff.location },
      change_dropoff: { dropoff: command.dropoff, price: PRICE },
    });
    return { outcome: 'changed', reason: null, detail: null };
  });
  return seen;
}
const answers = (answer: ChangeDropoffAnswer) => world.temporal.answerDropoff(async () => answer);
const refused = (reason: string): ChangeDropoffAnswer => ({ outcome: 'refused', reason, detail: 'Because.' });

describe('PATCH /v1/deliveries/{id} with a dropoff', () => {
  it('changes it, and answers the delivery as it is now, with its price', async () => {
    const seen = workflowChanges();
    const { id } = await created();
    const changed = await patch(id, { dropoff: THERE, why: 'at work' });
    expect(changed.status).toBe(200);
    expect(changed.json).toMatchObject({ id, dropoff: THERE, price: PRICE });
    expect(changed.headers.get('etag')).toBe('W/"2"');
    expect(seen).toMatchObject([{ dropoff: THERE, why: 'at work', actor: { role: 'business' } }]);
    expect(seen[0]).not.toHaveProperty('from');
    const read = await world.call('GET', `/v1/deliveries/${id}`, { key });
    expect(read.json).toMatchObject({ dropoff: THERE, price: PRICE });
    const events = await world.call('GET', `/v1/deliveries/${id}/events`, { key });
    expect(JSON.stringify(events.json)).not.toContain('Elm Street');
  });

  it('keeps nothing of the old address', async () => {
    workflowChanges();
    const { id } = await created();
    expect((await patch(id, { dropoff: THERE })).status).toBe(200);
    expect((await patch(id, { dropoff: ELSEWHERE })).json['dropoff']).toEqual(ELSEWHERE);
    const read = await world.call('GET', `/v1/deliveries/${id}`, { key });
    expect(read.json['dropoff']).toEqual(ELSEWHERE);
  });

  it('with the current ETag goes on from the dropoff that was read; with an old one, or in a lost race, it is 412', async () => {
    const seen = workflowChanges();
    const delivery = await created();
    expect((await patch(delivery.id, { dropoff: THERE }, { 'if-match': 'W/"1"' })).status).toBe(200);
    expect(seen[0]?.from).toEqual(delivery.dropoff.location);
    expect((await patch(delivery.id, { dropoff: ELSEWHERE }, { 'if-match': 'W/"1"' })).status).toBe(412);
    expect(seen).toHaveLength(1);
    answers(refused('dropoff_changed'));
    expect((await patch(delivery.id, { dropoff: ELSEWHERE }, { 'if-match': 'W/"2"' })).status).toBe(412);
  });

  it('repeated with its key is answered as it was; anything else under that key is 422', async () => {
    const seen = workflowChanges();
    const { id } = await created();
    const headers = { 'idempotency-key': 'change-once' };
    expect((await patch(id, { dropoff: THERE }, headers)).headers.get('idempotent-replayed')).toBeNull();
    const again = await patch(id, { dropoff: THERE }, headers);
    expect(again.status).toBe(200);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(seen).toHaveLength(1);
    const other = await patch(id, { dropoff: ELSEWHERE }, headers);
    expect(other.status).toBe(422);
    expect(other.json['type']).toMatch(/idempotency-key-reused$/);
    const window = { start: '2099-01-01T10:00:00Z', end: '2099-01-01T11:00:00Z' };
    expect((await patch(id, { pickup_window: window }, headers)).status).toBe(422);
  });

  it.each(['arrived_at_dropoff', 'carrier_booked', 'credit_exceeded', 'returning'])(
    'refused for %s is 409 with that reason, and the old dropoff stands',
    async (reason) => {
      answers(refused(reason));
      const { id, dropoff } = await created();
      const answer = await patch(id, { dropoff: THERE });
      expect(answer.status).toBe(409);
      expect(answer.json).toMatchObject({ reason, detail: 'Because.' });
      const read = await world.call('GET', `/v1/deliveries/${id}`, { key });
      expect(read.json['dropoff']).toEqual(dropoff);
    },
  );

  it.each([
    ['out_of_range', 'cannot be flown to: Because.'],
    ['after_deadline', 'cannot be reached by the deadline: Because.'],
  ])('that cannot be served (%s) is 422 with the reason and the field', async (reason, message) => {
    answers(refused(reason));
    const { id, dropoff } = await created();
    const answer = await patch(id, { dropoff: THERE });
    expect(answer.status).toBe(422);
    expect(answer.json).toMatchObject({ reason, errors: [{ field: 'dropoff.location', message }] });
    const read = await world.call('GET', `/v1/deliveries/${id}`, { key });
    expect(read.json['dropoff']).toEqual(dropoff);
  });

  it('that can be no dropoff of this delivery is 422, and leaves its key free', async () => {
    world.temporal.answerDropoff(async () => ({
      outcome: 'impossible',
      errors: [{ field: 'dropoff.location', message: 'must be another place than the pickup' }],
    }));
    const { id } = await created();
    const headers = { 'idempotency-key': 'second-thoughts' };
    const answer = await patch(id, { dropoff: THERE }, headers);
    expect(answer.status).toBe(422);
    expect(fieldsOf(answer)).toEqual(['dropoff.location']);
    workflowChanges();
    expect((await patch(id, { dropoff: ELSEWHERE }, headers)).status).toBe(200);
  });

  it('without a contact, where the recipient has to confirm, is 422 naming the field, and no workflow is asked', async () => {
    const seen = workflowChanges();
    const reachable = { ...THERE, contact: { phone: '+14255550100' } };
    const { json } = await world.call('POST', '/v1/deliveries', {
      key,
      body: aRequest({ confirmation: 'pin', dropoff: reachable }),
    });
    const id = String(json['id']);
    await world.projected(id as Delivery['id']);
    const headers = { 'idempotency-key': 'unreachable' };
    const answer = await patch(id, { dropoff: ELSEWHERE }, headers);
    expect(answer.status).toBe(422);
    expect(fieldsOf(answer)).toEqual(['dropoff.contact']);
    expect(seen).toEqual([]);
    // Its key is free.
    const dropoff = { ...ELSEWHERE, contact: { email: 'r@example.com' } };
    expect((await patch(id, { dropoff }, headers)).status).toBe(200);
    // Whoever repeats what was answered gets that.
    const again = await patch(id, { dropoff }, headers);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
  });

  it('that the drone has not answered is 202, and shows the old one', async () => {
    answers({ outcome: 'pending', reason: 'aircraft_unreachable', detail: 'Not yet.' });
    const { id, dropoff } = await created();
    const answer = await patch(id, { dropoff: THERE });
    expect(answer.status).toBe(202);
    expect(answer.json['dropoff']).toEqual(dropoff);
  });

  it('that nobody answers is 503, to be repeated', async () => {
    world.temporal.answerDropoff(async () => 'no_answer');
    const { id } = await created();
    const answer = await patch(id, { dropoff: THERE });
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('2');
  });

  it.each([
    [
      'both changes at once',
      { dropoff: THERE, pickup_window: { start: '2099-01-01T10:00:00Z', end: '2099-01-01T11:00:00Z' } },
      ['pickup_window', 'dropoff'],
    ],
    [
      'two wrong changes',
      { dropoff: { location: { latitude: 91, longitude: 0 } }, pickup_window: { start: 'now' } },
      ['dropoff.location.latitude', 'pickup_window.start', 'pickup_window.end'],
    ],
    ['no place', { dropoff: { address: 'somewhere' } }, ['dropoff.location']],
    ['an address that cannot be stored', { dropoff: { ...ELSEWHERE, address: 'a\0b' } }, ['dropoff.address']],
    ['a reason that cannot be stored', { dropoff: ELSEWHERE, why: 'a\ud800b' }, ['why']],
  ])('names %s', async (_, body, fields) => {
    const { id } = await created();
    const answer = await patch(id, body);
    expect(answer.status).toBe(400);
    expect(fieldsOf(answer).sort()).toEqual([...fields].sort());
  });

  it('of another tenant’s delivery is 404', async () => {
    const seen = workflowChanges();
    const { id } = await created();
    expect((await patch(id, { dropoff: THERE }, {}, foreignKey)).status).toBe(404);
    expect(seen).toEqual([]);
  });
});

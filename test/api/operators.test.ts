// Operators' orders by the API: who may give them, how they reach the workflow, and every way in which they are answered.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Delivery } from '../../services/delivery/contract/index.ts';
import { type DeliveryId, newId } from '../../shared/ids.ts';
import type { OrderResult } from '../../shared/temporal/operator-orders.ts';
import { aRequest, startWorld, type World } from './world.ts';

let world: World;
let key: string;
let operatorKey: string;
let delivery: Delivery;

/** What the workflow was sent, and what it answers. As Temporal does it, a repeated update id gets the first answer. */
const sent: { deliveryId: DeliveryId; update: string; command: unknown; updateId: string }[] = [];
const answers = new Map<string, OrderResult>();
let answer: (request: string | null) => OrderResult;
const says = (outcome: 'reassigning' | 'cancelled' | 'returning' | 'accepted' | 'pending' | 'refused') => {
  answer = (request) => ({
    outcome,
    reason: outcome === 'refused' ? 'no_drone' : null,
    detail: 'so it is',
    request,
  });
};

beforeAll(async () => {
  world = await startWorld({ ingestion: { cancelWaitMs: 300 } });
  ({ key } = await world.makeAccount('Watched'));
  operatorKey = await world.makeKey('operator');
  world.temporal.answerOrder(async (deliveryId, update, command, { updateId }) => {
    sent.push({ deliveryId, update, command, updateId });
    const result = answers.get(updateId) ?? answer(command.request ?? null);
    if (typeof result === 'object' && result.outcome !== 'rejected') answers.set(updateId, result);
    return result;
  });
});
afterAll(() => world.close());
beforeEach(async () => {
  sent.length = 0;
  const made = await world.call('POST', '/v1/deliveries', { key, body: aRequest() });
  delivery = made.json as unknown as Delivery;
  await expect.poll(() => world.temporal.started).toContain(delivery.id);
  await world.append(delivery.id, 'confirmed');
});

const post = (
  path: string,
  body: object,
  headers: Record<string, string> = { 'idempotency-key': newId('event') },
) => world.call('POST', path, { key: operatorKey, body, headers });
const pathOf = (order: 'reassign' | 'abort', id: string = delivery.id) => `/v1/ops/deliveries/${id}/${order}`;
const interventionOf = (id: string) => `int_${id.slice(4)}_void_packages`;
const WHY = { why: 'the test says so' };

describe('An operator’s order', () => {
  it.each([
    { name: 'reassign', outcome: 'reassigning', update: 'reassignDrone', body: { exclude_present: false } },
    { name: 'abort', outcome: 'returning', update: 'abort', body: {} },
  ] as const)('$name reaches the workflow with who and why', async ({ name, outcome, update, body }) => {
    says(outcome);
    const { status, json } = await post(pathOf(name), { ...WHY, ...body });
    expect(status).toBe(200);
    expect(json).toEqual({ delivery_id: delivery.id, outcome, detail: 'so it is' });
    expect(sent).toMatchObject([
      {
        deliveryId: delivery.id,
        update,
        command: {
          ...WHY,
          actor: { role: 'operator', id: expect.stringMatching(/^key_/) as string },
          ...(name === 'reassign' && { excludePresent: false }),
        },
      },
    ]);
  });

  it.each([
    { name: 'resolve', update: 'resolveIntervention', body: { answer: 'done' } },
    { name: 'retry', update: 'retryCompensation', body: {} },
  ])('$name goes to the delivery that the intervention’s id tells', async ({ name, update, body }) => {
    says('accepted');
    const interventionId = interventionOf(delivery.id);
    const { status, json } = await post(`/v1/ops/interventions/${interventionId}/${name}`, {
      ...WHY,
      ...body,
    });
    expect(status).toBe(200);
    expect(json).toMatchObject({ delivery_id: delivery.id, outcome: 'accepted' });
    expect(sent).toMatchObject([
      { deliveryId: delivery.id, update, command: { interventionId, ...WHY, ...body } },
    ]);
  });

  it('that the aircraft has to settle is answered 202', async () => {
    says('pending');
    const { status, json } = await post(pathOf('abort'), WHY);
    expect(status).toBe(202);
    expect(json).toMatchObject({ outcome: 'pending' });
  });

  it('that the state does not allow is a 409 with the reason', async () => {
    says('refused');
    const { status, json } = await post(pathOf('reassign'), WHY);
    expect(status).toBe(409);
    expect(json).toMatchObject({ reason: 'no_drone', detail: 'so it is' });
  });

  it('to a delivery that has ended is a 409, whatever became of its workflow', async () => {
    answer = () => 'gone';
    const gone = await post(pathOf('abort'), WHY);
    expect(gone.json).toMatchObject({ status: 409, reason: 'no_workflow' });
    await world.append(delivery.id, 'failed');
    const ended = await post(pathOf('abort'), WHY);
    expect(ended.json).toMatchObject({ status: 409, reason: 'already_failed' });
  });

  it('about an intervention that is not open is a 409, with an answer that it does not offer a 400', async () => {
    const path = `/v1/ops/interventions/${interventionOf(delivery.id)}`;
    answer = () => ({ outcome: 'rejected', why: 'notOpen', detail: 'not open; open are: none.', errors: [] });
    expect((await post(`${path}/retry`, WHY)).json).toMatchObject({
      status: 409,
      reason: 'intervention_not_open',
      detail: 'not open; open are: none.',
    });
    const errors = [{ field: 'answer', message: 'must be one of retry, done for this intervention' }];
    answer = () => ({ outcome: 'rejected', why: 'invalid', detail: 'wrong', errors });
    expect((await post(`${path}/resolve`, { ...WHY, answer: 'explode' })).json).toMatchObject({
      status: 400,
      errors,
    });
  });
});

describe('An order that is repeated', () => {
  it('after a 503, with the same key, is the same update; with another key another one', async () => {
    const headers = { 'idempotency-key': 'again' };
    answer = () => 'no_answer';
    const first = await post(pathOf('reassign'), WHY, headers);
    expect(first.status, first.text).toBe(503);
    expect(Number(first.headers.get('retry-after'))).toBeGreaterThan(0);
    says('reassigning');
    expect((await post(pathOf('reassign'), WHY, headers)).status).toBe(200);
    expect((await post(pathOf('reassign'), WHY)).status).toBe(200);
    expect(sent).toHaveLength(3);
    expect(sent[1]?.updateId).toBe(sent[0]?.updateId);
    expect(sent[2]?.updateId).not.toBe(sent[0]?.updateId);
  });

  it('with the same key and another body is a 422', async () => {
    const headers = { 'idempotency-key': 'once' };
    says('reassigning');
    expect((await post(pathOf('reassign'), WHY, headers)).status).toBe(200);
    expect((await post(pathOf('reassign'), WHY, headers)).status).toBe(200);
    const other = await post(pathOf('reassign'), { why: 'something else' }, headers);
    expect(other.status).toBe(422);
    expect(other.json['type']).toMatch(/idempotency-key-reused$/);
  });

  it('of two operators, each with a key of that name, is two orders', async () => {
    const headers = { 'idempotency-key': 'mine' };
    says('reassigning');
    await post(pathOf('reassign'), WHY, headers);
    const second = await world.makeKey('operator');
    await world.call('POST', pathOf('reassign'), { key: second, body: WHY, headers });
    expect(new Set(sent.map((one) => one.updateId)).size).toBe(2);
  });
});

describe('An order that is wrong', () => {
  it('names every wrong field, and reaches no workflow', async () => {
    const fieldsOf = async (path: string, body: object, headers?: Record<string, string>) => {
      const { status, json } = await post(path, body, headers);
      expect(status).toBe(400);
      return (json.errors ?? []).map(({ field }) => field).sort();
    };
    expect(await fieldsOf(pathOf('reassign'), { exclude_present: 'yes', colour: 'red' })).toEqual([
      'colour',
      'exclude_present',
      'why',
    ]);
    expect(await fieldsOf(pathOf('abort'), { why: ' ' })).toEqual(['why']);
    expect(await fieldsOf(pathOf('abort'), WHY, {})).toEqual(['idempotency-key']);
    expect(await fieldsOf(pathOf('abort', 'del_x'), WHY)).toEqual(['delivery_id']);
    expect(await fieldsOf('/v1/ops/interventions/int_x/retry', WHY)).toEqual(['intervention_id']);
    expect(await fieldsOf(`/v1/ops/interventions/${interventionOf(delivery.id)}/resolve`, WHY)).toEqual([
      'answer',
    ]);
    expect(sent).toEqual([]);
  });

  it('is a 404 for a delivery that is not there', async () => {
    const unknown = newId('delivery');
    expect((await post(pathOf('abort', unknown), WHY)).status).toBe(404);
    expect((await post(`/v1/ops/interventions/${interventionOf(unknown)}/retry`, WHY)).status).toBe(404);
  });

  it('is not for the keys of businesses and drones', async () => {
    const droneKey = await world.makeKey('drone');
    const paths = [
      pathOf('reassign'),
      pathOf('abort'),
      `/v1/ops/interventions/${interventionOf(delivery.id)}/retry`,
      `/v1/ops/interventions/${interventionOf(delivery.id)}/resolve`,
    ];
    for (const path of paths) {
      for (const other of [key, droneKey]) {
        const { status } = await world.call('POST', path, {
          key: other,
          body: { ...WHY, answer: 'done' },
          headers: { 'idempotency-key': 'x' },
        });
        expect(status).toBe(403);
      }
    }
    expect(sent).toEqual([]);
  });
});

describe('GET /v1/ops/interventions', () => {
  const list = async (query: string) => {
    const { status, json, text } = await world.call('GET', `/v1/ops/interventions?${query}`, {
      key: operatorKey,
    });
    expect(status, text).toBe(200);
    const { data, next_cursor: next } = json as unknown as { data: Listed[]; next_cursor: string | null };
    return { ids: data.map(({ id }) => id), data, next };
  };
  interface Listed {
    id: string;
    delivery_id: string;
    kind: string;
    resolved_at: string | null;
    resolution: unknown;
  }
  const open = async (id: DeliveryId, what: string, openedAt: string, kind = `compensation:${what}`) => {
    const interventionId = `int_${id.slice(4)}_${what}`;
    await world.append(id, {
      occurred_at: openedAt,
      open_intervention: {
        id: interventionId,
        kind,
        reason: 'so it is',
        answers: [{ answer: 'retry', effect: 'tries again at once' }],
      },
    });
    return interventionId;
  };

  it('lists those of all deliveries, newest first, in pages, by filter', async () => {
    const first = delivery.id;
    const other = (await world.call('POST', '/v1/deliveries', { key, body: aRequest() }))
      .json as unknown as Delivery;
    const a = await open(first, 'void_packages', '2026-03-01T10:00:00Z');
    const b = await open(other.id, 'drone_down_1', '2026-03-01T12:00:00Z', 'drone_down');
    // Two at one moment.
    const c = await open(first, 'release_drone_1', '2026-03-01T11:00:00Z');
    const d = await open(other.id, 'void_packages', '2026-03-01T11:00:00Z');
    const [later, sooner] = c > d ? [c, d] : [d, c];
    expect((await list('')).ids).toEqual([b, later, sooner, a]);

    const pages: string[][] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const page = await list(`limit=1${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
      pages.push(page.ids);
      cursor = page.next;
    }
    expect(pages).toEqual([[b], [later], [sooner], [a]]);

    const resolution = { answer: 'retry', by: 'operator:jo', why: 'it is up again' };
    await world.append(first, { resolve_intervention: { id: a, ...resolution } });
    expect((await list('open=true')).ids).toEqual([b, later, sooner]);
    const answered = await list('open=false');
    expect(answered.data).toMatchObject([{ id: a, delivery_id: first, resolution }]);

    expect((await list('kind=drone_down')).ids).toEqual([b]);
    expect((await list('kind=compensation:void')).ids).toEqual([d, a]);
    expect((await list(`delivery_id=${first}`)).ids).toEqual([c, a]);
    expect((await list('opened_after=2026-03-01T11:30:00Z')).ids).toEqual([b]);
    expect((await list('opened_before=2026-03-01T11:00:00Z')).ids).toEqual([a]);
    expect((await list('livemode=false')).ids).toEqual([]);

    // The same case, come up again.
    await open(first, 'void_packages', '2026-03-01T13:00:00Z');
    expect((await list('open=true')).ids).toEqual([a, b, later, sooner]);
    expect((await list('open=false')).ids).toEqual([]);
  });

  it('is not for businesses, and refuses a filter that is wrong', async () => {
    expect((await world.call('GET', '/v1/ops/interventions', { key })).status).toBe(403);
    for (const query of ['open=maybe', 'cursor=x', 'opened_after=yesterday', 'delivery_id=1']) {
      const { status, json } = await world.call('GET', `/v1/ops/interventions?${query}`, {
        key: operatorKey,
      });
      expect(status, query).toBe(400);
      expect(json.errors?.map(({ field }) => field)).toEqual([query.split('=')[0]]);
    }
  });
});

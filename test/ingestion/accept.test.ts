import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { priceOf } from '../../services/account/contract/index.ts';
import type { Problem } from '../../shared/errors.ts';
import { distanceM } from '../../shared/geodesy.ts';
import { newId } from '../../shared/ids.ts';
import { startTcpRelay } from '../support/tcp-relay.ts';
import { type AcceptBody, anAccept, type Ingestion, startWorld, type World } from './world.ts';

let world: World;
let one: Ingestion;
let two: Ingestion;
let database: pg.Client;

beforeAll(async () => {
  world = await startWorld();
  one = await world.ingestion({ pumps: false });
  two = await world.ingestion({ pumps: false });
  database = new pg.Client({ connectionString: world.database.services.ingestion.url });
  await database.connect();
});
afterAll(async () => {
  await database.end();
  await world.close();
});

const accept = (body: AcceptBody, service = one) => service.client.accept({ body });
const problemOf = (work: Promise<unknown>): Promise<Problem> =>
  work.then(
    () => expect.unreachable('it was not refused'),
    (error: unknown) => error as Problem,
  );
async function rowsOf(accountId: string): Promise<number> {
  const { rowCount } = await database.query('SELECT FROM delivery_requests WHERE account_id = $1', [
    accountId,
  ]);
  return rowCount ?? 0;
}

describe('an accept', () => {
  it('answers the delivery that it will be', async () => {
    const body = anAccept({
      request: {
        external_id: 'order-1',
        deadline: '2027-03-01T14:00:00+01:00',
        packages: [
          { size: 'small', weight_kg: 1.2 },
          { size: 'medium', weight_kg: 0.8, tag: 'MY-TAG', declared_value: { amount: 5, currency: 'USD' } },
        ],
      },
    });
    const { delivery, replayed } = await accept(body);
    const { pickup, dropoff } = body.request;
    expect(replayed).toBe(false);
    expect(delivery).toMatchObject({
      object: 'delivery',
      account_id: body.account_id,
      livemode: true,
      external_id: 'order-1',
      status: 'created',
      sequence: 1,
      pickup,
      dropoff,
      packages: [
        { size: 'small', weight_kg: 1.2 },
        { size: 'medium', weight_kg: 0.8, tag: 'MY-TAG', declared_value: { amount: 5, currency: 'USD' } },
      ],
      expedited: false,
      deadline: '2027-03-01T13:00:00.000Z',
      confirmation: 'none',
      undeliverable_action: 'return',
      metadata: {},
      price: priceOf({
        distanceM: distanceM(pickup.location, dropoff.location),
        weightKg: 2,
        expedited: false,
      }),
      eta: { status: 'pending', pickup_at: null, dropoff_at: null },
      complete: false,
    });
    expect(delivery.packages[0]?.tag).toMatch(/^DD[0-9A-Z]{16}$/);
    const found = await one.client.getRequested({ params: { delivery_id: delivery.id } });
    expect(found).toEqual({
      delivery,
      state: 'accepted',
      projected: false,
      accepted_at: delivery.created_at,
    });
  });

  it('is stamped with the clock that the delivery follows', async () => {
    const clock = { anchorWallMs: 1_000_000, anchorMs: Date.parse('2030-01-01T00:00:00Z'), rate: 10 };
    const lapse = await world.ingestion({ pumps: false, clock, wall: () => 1_000_000 + 6_000 });
    const { delivery } = await accept(anAccept(), lapse);
    expect(delivery.created_at).toBe('2030-01-01T00:01:00.000Z');
  });

  it('names every field that cannot be kept, and keeps the others of its batch', async () => {
    const bad = anAccept({
      request: {
        metadata: { note: 'a\u0000b', 'k\u0000': 'v' },
        external_id: '\ud800',
        pickup: {
          location: { latitude: 1, longitude: 1 },
          address: 'fine \ud83d\ude80, and \\u0000 spelled',
        },
      },
    });
    const [problem, good] = await Promise.all([problemOf(accept(bad)), accept(anAccept())]);
    expect(problem.status).toBe(400);
    expect(problem.errors?.map((error) => error.field).sort()).toEqual([
      'external_id',
      'metadata',
      'metadata.note',
    ]);
    expect(good.replayed).toBe(false);
    expect(await rowsOf(bad.account_id)).toBe(0);
  });

  it('takes a leap second for a deadline', async () => {
    const { delivery } = await accept(anAccept({ request: { deadline: '2030-12-31T23:59:60Z' } }));
    expect(delivery.deadline).toBe('2030-12-31T23:59:59.999Z');
  });
});

describe('a repetition', () => {
  it('twenty at once, in two processes, is one row and one answer', async () => {
    const body = anAccept({ idempotency_key: 'k1', request: { external_id: 'e1' } });
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => accept(body, index % 2 ? one : two)),
    );
    expect(answers.filter((answer) => !answer.replayed)).toHaveLength(1);
    for (const answer of answers) expect(answer.delivery).toEqual(answers[0]?.delivery);
    expect(await rowsOf(body.account_id)).toBe(1);
  });

  it('is answered as the first, whatever became of it since', async () => {
    const body = anAccept({ idempotency_key: 'k1' });
    const first = await accept(body);
    await one.client.cancel({
      params: { delivery_id: first.delivery.id },
      body: { account_id: null, reason: 'duplicate', actor: { role: 'business', id: 'key' } },
    });
    expect(await accept(body)).toEqual({ delivery: first.delivery, replayed: true });
  });

  it('with another body is refused, as is findReplay', async () => {
    const body = anAccept({ idempotency_key: 'k1' });
    const { delivery } = await accept(body);
    const other = { ...body, fingerprint: 'another' };
    const problem = await problemOf(accept(other));
    expect(problem).toMatchObject({ status: 422, slug: 'idempotency-key-reused' });
    expect(problem.detail).toContain(delivery.id);
    const { account_id, livemode } = body;
    const replay = (fingerprint: string, idempotency_key = 'k1') =>
      one.client.findReplay({ body: { account_id, livemode, idempotency_key, fingerprint } });
    expect(await replay(body.fingerprint)).toEqual({ delivery });
    expect(await replay(body.fingerprint, 'never')).toEqual({ delivery: null });
    expect(await problemOf(replay('another'))).toMatchObject({ slug: 'idempotency-key-reused' });
  });

  it('concerns one account and one mode', async () => {
    const body = anAccept({ idempotency_key: 'k1', request: { external_id: 'e1' } });
    const answers = await Promise.all([
      accept(body),
      accept({ ...body, livemode: false }),
      accept({ ...body, account_id: newId('account') }),
    ]);
    expect(new Set(answers.map((answer) => answer.delivery.id)).size).toBe(3);
    expect(answers.some((answer) => answer.replayed)).toBe(false);
  });
});

describe('an external id', () => {
  it('of ten rivals in two processes one gets it; the others hear who has it', async () => {
    const first = anAccept({ request: { external_id: 'e1' } });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, (_, index) =>
        accept({ ...first, idempotency_key: `k${index}` }, index % 2 ? one : two),
      ),
    );
    const accepted = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    expect(accepted).toHaveLength(1);
    for (const outcome of outcomes) {
      if (outcome.status === 'fulfilled') continue;
      const problem = outcome.reason as Problem;
      expect(problem).toMatchObject({ status: 409, reason: 'external_id_taken' });
      expect(problem.detail).toContain(accepted[0]?.delivery.id);
    }
    expect(await rowsOf(first.account_id)).toBe(1);
  });

  it('that is taken does not hide that the request is a repetition', async () => {
    const body = anAccept({ idempotency_key: 'k1', request: { external_id: 'e1' } });
    const first = await accept(body);
    expect(await accept(body)).toEqual({ delivery: first.delivery, replayed: true });
  });
});

describe('many at once', () => {
  it('two hundred with duplicates among them: each is answered for itself', async () => {
    const accountId = newId('account');
    const bodies = Array.from({ length: 200 }, (_, index) =>
      anAccept({
        account_id: accountId,
        // Every key comes twice; every fourth pair has different bodies.
        idempotency_key: `k${index >> 1}`,
        request: { metadata: { n: String(index % 8 === 7 ? index : index >> 1) } },
      }),
    );
    const outcomes = await Promise.allSettled(
      bodies.map((body, index) => accept(body, index % 3 ? one : two)),
    );
    const ids = new Set<string>();
    for (let pair = 0; pair < 100; pair += 1) {
      const both = outcomes.slice(pair * 2, pair * 2 + 2);
      const accepted = both.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      const refused = both.flatMap((one) => (one.status === 'rejected' ? [one.reason as Problem] : []));
      if (pair % 4 === 3) {
        expect(accepted.map((answer) => answer.replayed)).toEqual([false]);
        expect(refused.map((problem) => problem.slug)).toEqual(['idempotency-key-reused']);
      } else {
        expect(accepted.map((answer) => answer.replayed).sort()).toEqual([false, true]);
        expect(accepted[0]?.delivery).toEqual(accepted[1]?.delivery);
      }
      ids.add(accepted[0]!.delivery.id);
    }
    expect(ids.size).toBe(100);
    expect(await rowsOf(accountId)).toBe(100);
  });

  it('batches of two processes that meet crosswise neither lose nor double one', async () => {
    const accountId = newId('account');
    const bodies = Array.from({ length: 60 }, (_, index) =>
      anAccept({
        account_id: accountId,
        idempotency_key: `k${index}`,
        request: { external_id: `e${59 - index}` },
      }),
    );
    const outcomes = await Promise.allSettled([
      ...bodies.map((body) => accept(body, one)),
      ...bodies.reverse().map((body) => accept(body, two)),
    ]);
    const answers = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    expect(outcomes.filter((outcome) => outcome.status === 'rejected')).toEqual([]);
    expect(answers.filter((answer) => !answer.replayed)).toHaveLength(60);
    expect(new Set(answers.map((answer) => answer.delivery.id)).size).toBe(60);
    expect(await rowsOf(accountId)).toBe(60);
  });
});

describe('with Postgres away', () => {
  it('an accept is 503 with Retry-After, and its repetition is one delivery however the first went', async () => {
    const url = world.database.services.ingestion.url;
    const relay = await startTcpRelay(url);
    const cutOff = await world.ingestion({ pumps: false, databaseUrl: relay.through(url) });
    const body = anAccept({ idempotency_key: 'k1' });
    const accountId = body.account_id;
    for (let round = 0; round < 5; round += 1) {
      // Cut while they are under way: some are committed, and their answer is lost.
      const accepting = Promise.allSettled(
        Array.from({ length: 20 }, (_, index) =>
          accept({ ...body, idempotency_key: `k${round}/${index}` }, cutOff),
        ),
      );
      await relay.cut();
      const problem = await problemOf(accept({ ...body, idempotency_key: 'while away' }, cutOff));
      expect(problem).toMatchObject({ status: 503, slug: 'unavailable', retryAfterS: 2 });
      const first = await accepting;
      await relay.mend();
      const again = await Promise.all(
        first.map((_, index) => accept({ ...body, idempotency_key: `k${round}/${index}` }, cutOff)),
      );
      expect(new Set(again.map((answer) => answer.delivery.id)).size).toBe(20);
      for (const [index, outcome] of first.entries()) {
        if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ status: 503 });
        else expect(again[index]?.delivery).toEqual(outcome.value.delivery);
      }
      expect(await rowsOf(accountId)).toBe(20 * (round + 1));
    }
    await relay.close();
  });
});

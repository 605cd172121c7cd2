import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BodyOf } from '../../../shared/http/contract.ts';
import { newId, type DeliveryId } from '../../../shared/ids.ts';
import { createServiceDatabase, type ServiceDatabase } from '../../../test/support/postgres.ts';
import { serve, silentLogger, type ServedService } from '../../../test/support/service.ts';
import { startTcpRelay } from '../../../test/support/tcp-relay.ts';
import { packageContract } from '../contract/index.ts';
import { buildPackageService } from '../service.ts';

let database: ServiceDatabase;
let service: ServedService<typeof packageContract>;

beforeAll(async () => {
  database = await createServiceDatabase('package');
  const app = await buildPackageService({
    databaseUrl: database.url,
    logger: silentLogger,
    wall: () => Date.parse('2026-03-01T12:00:00Z'),
  });
  service = await serve(app, packageContract);
});

afterAll(async () => {
  await service.close();
  await database.drop();
});

type Parcel = BodyOf<typeof packageContract, 'registerPackages'>['packages'][number];

const accountId = newId('account');

function parcels(count = 2): Parcel[] {
  return Array.from({ length: count }, (_, index) => ({
    id: newId('package'),
    size: 'small',
    weight_kg: 0.5 + index,
    tag: `TAG-${index}`,
  }));
}

function steps(deliveryId: DeliveryId = newId('delivery')) {
  const registerKey = `${deliveryId}/register/1`;
  return {
    deliveryId,
    registerKey,
    register: (packages: Parcel[], key = registerKey) =>
      service.client.registerPackages(
        {
          body: {
            account_id: accountId,
            delivery_id: deliveryId,
            livemode: true,
            packages,
          },
        },
        { idempotencyKey: key },
      ),
    void: (key = `${deliveryId}/void/1`) =>
      service.client.voidPackages(
        { body: { register_key: registerKey, account_id: accountId, delivery_id: deliveryId } },
        { idempotencyKey: key },
      ),
    list: async () => (await service.client.listPackages({ query: { delivery_id: deliveryId } })).data,
  };
}

describe('registerPackages', () => {
  test('registers all packages, in their order', async () => {
    const delivery = steps();
    const [first, second] = parcels();
    const insured = { ...second!, declared_value: { amount: 12_345, currency: 'USD' } };
    expect(await delivery.register([first!, insured])).toEqual({
      outcome: 'registered',
      package_ids: [first!.id, second!.id],
    });
    const common = {
      account_id: accountId,
      delivery_id: delivery.deliveryId,
      livemode: true,
      step_key: delivery.registerKey,
      state: 'registered',
      created_at: '2026-03-01T12:00:00.000Z',
    };
    const listed = await delivery.list();
    expect(listed).toEqual([
      { ...first, ...common, declared_value: null },
      { ...insured, ...common },
    ]);
    expect(await service.client.getPackage({ params: { package_id: insured.id } })).toEqual(listed[1]);
  });

  test('answers a repetition with the first result, also when all come at once', async () => {
    const delivery = steps();
    const packages = parcels(3);
    const answers = await Promise.all(Array.from({ length: 12 }, () => delivery.register(packages)));
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(await delivery.list()).toHaveLength(3);
  });

  test('does not let a key stand for other packages or another delivery', async () => {
    const delivery = steps();
    await delivery.register(parcels());
    const reused = { status: 422, slug: 'idempotency-key-reused' };
    await expect(delivery.register(parcels())).rejects.toMatchObject(reused);
    await expect(steps().register(parcels(), delivery.registerKey)).rejects.toMatchObject(reused);
    expect(await delivery.list()).toHaveLength(2);
  });

  test('registers none when one is taken', async () => {
    const taken = parcels(1);
    await steps().register(taken);
    const delivery = steps();
    const fresh = parcels(1);
    await expect(delivery.register([...fresh, ...taken])).rejects.toMatchObject({
      status: 409,
      reason: 'package_exists',
    });
    expect(await delivery.list()).toEqual([]);
    expect(await delivery.register(fresh)).toMatchObject({ outcome: 'registered' });
  });

  test('lets two packages of an account have the same tag', async () => {
    const packages = parcels().map((one) => ({ ...one, tag: 'CRATE-7' }));
    expect(await steps().register(packages)).toMatchObject({ outcome: 'registered' });
    expect(await steps().register(parcels(1).map((one) => ({ ...one, tag: 'CRATE-7' })))).toMatchObject({
      outcome: 'registered',
    });
  });

  test('names every wrong field', async () => {
    const delivery = steps();
    const payload = {
      account_id: 'acc_1',
      delivery_id: delivery.deliveryId,
      livemode: true,
      packages: [{ id: newId('package'), size: 'huge', weight_kg: -1, tag: '' }],
    };
    const headers = { 'idempotency-key': delivery.registerKey };
    const response = await service.app.inject({ method: 'POST', url: '/packages', headers, payload });
    expect(response.statusCode).toBe(400);
    const { errors } = response.json<{ errors: { field: string }[] }>();
    expect(errors.map((one) => one.field).sort()).toEqual([
      'account_id',
      'packages[0].size',
      'packages[0].tag',
      'packages[0].weight_kg',
    ]);
    const [one] = parcels(1);
    await expect(delivery.register([one!, one!])).rejects.toMatchObject({
      status: 400,
      errors: [{ field: 'packages[1].id' }],
    });
  });
});

describe('voidPackages', () => {
  test('voids all of them, once', async () => {
    const delivery = steps();
    const packages = parcels();
    await delivery.register(packages);
    expect(await delivery.void()).toEqual({ outcome: 'voided' });
    expect(await delivery.void()).toEqual({ outcome: 'voided' });
    expect(await delivery.void('another/void/1')).toEqual({ outcome: 'already_voided' });
    expect((await delivery.list()).map(({ state }) => state)).toEqual(['void', 'void']);
    expect(await delivery.register(packages)).toEqual({ outcome: 'voided', package_ids: [] });
  });

  test('of a step that never ran keeps it from running late', async () => {
    const delivery = steps();
    expect(await delivery.void()).toEqual({ outcome: 'never_registered' });
    expect(await delivery.void()).toEqual({ outcome: 'never_registered' });
    expect(await delivery.void('another/void/1')).toEqual({ outcome: 'already_voided' });
    expect(await delivery.register(parcels())).toEqual({ outcome: 'voided', package_ids: [] });
    expect(await delivery.list()).toEqual([]);
  });

  test('racing its own register step leaves nothing registered, whichever comes first', async () => {
    for (let round = 0; round < 25; round += 1) {
      const delivery = steps();
      const [registered, voided] = await Promise.all([delivery.register(parcels()), delivery.void()]);
      expect(voided.outcome).toBe(registered.outcome === 'registered' ? 'voided' : 'never_registered');
      expect((await delivery.list()).filter(({ state }) => state === 'registered')).toEqual([]);
    }
  });

  test('does not touch the packages of another delivery', async () => {
    const delivery = steps();
    await delivery.register(parcels());
    await expect(
      service.client.voidPackages(
        {
          body: {
            register_key: delivery.registerKey,
            account_id: accountId,
            delivery_id: newId('delivery'),
          },
        },
        { idempotencyKey: 'void/1' },
      ),
    ).rejects.toMatchObject({ slug: 'idempotency-key-reused' });
    expect((await delivery.list()).map(({ state }) => state)).toEqual(['registered', 'registered']);
  });
});

test('knows no package that is not there', async () => {
  const missing = service.client.getPackage({ params: { package_id: newId('package') } });
  await expect(missing).rejects.toMatchObject({ status: 404 });
  expect((await service.app.inject('/packages/box')).statusCode).toBe(400);
});

test('documents every operation', async () => {
  const document = (await service.app.inject('/openapi.json')).json<{
    paths: Record<string, Record<string, { operationId: string }>>;
  }>();
  const operations = Object.values(document.paths).flatMap((path) =>
    Object.values(path).map((one) => one.operationId),
  );
  expect(operations.sort()).toEqual(Object.keys(packageContract).sort());
});

test('says 503 with Retry-After while the database is down', async () => {
  const relay = await startTcpRelay(database.url);
  const app = await buildPackageService({
    databaseUrl: relay.through(database.url),
    logger: silentLogger,
    poolSize: 1,
  });
  const get = () => app.inject(`/packages/${newId('package')}`);
  try {
    expect((await get()).statusCode).toBe(404);
    await relay.cut();
    const answer = await get();
    expect(answer.statusCode).toBe(503);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    await relay.mend();
    await expect.poll(async () => (await get()).statusCode, { timeout: 10_000 }).toBe(404);
  } finally {
    await app.close();
    await relay.close();
  }
});

describe('listRegistered', () => {
  test('answers those of several deliveries that are registered and not void', async () => {
    const [kept, voided, other] = [steps(), steps(), steps()];
    const packages = parcels(2);
    await Promise.all([kept.register(packages), voided.register(parcels(1)), other.register(parcels(1))]);
    await voided.void();
    const of = [kept.deliveryId, voided.deliveryId, newId('delivery')];
    const { data } = await service.client.listRegistered({ query: { delivery_id: of } });
    expect(data).toEqual(await kept.list());
    expect(data.map(({ id, step_key }) => [id, step_key])).toEqual(
      packages.map(({ id }) => [id, kept.registerKey]),
    );
  });

  test('names what is wrong with a question for none', async () => {
    const asked = service.client.listRegistered({ query: { delivery_id: [] } });
    await expect(asked).rejects.toMatchObject({ status: 400, errors: [{ field: 'delivery_id' }] });
  });
});

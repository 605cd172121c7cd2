/** `npm run seed` against the real drone and account services. */
import { execa } from 'execa';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACCOUNTS, BASES, DRONES, MODELS, seedFleet } from '../../local/seed/index.ts';
import { accountContract } from '../../services/account/contract/index.ts';
import { TARIFF } from '../../services/account/contract/tariff.ts';
import { buildAccountService } from '../../services/account/service.ts';
import { planMission } from '../../services/drone/contract/flight.ts';
import { droneContract } from '../../services/drone/contract/index.ts';
import { RecordedWorkflows } from '../../services/drone/test/support.ts';
import { buildDroneService } from '../../services/drone/service.ts';
import { destination, distanceM } from '../../shared/geodesy.ts';
import { createServiceDatabase } from '../support/postgres.ts';
import { serve, type ServedService, silentLogger } from '../support/service.ts';

let database: Awaited<ReturnType<typeof createServiceDatabase>>;
let drone: ServedService<typeof droneContract>;
let account: ServedService<typeof accountContract>;

beforeAll(async () => {
  database = await createServiceDatabase('drone');
  const { services } = database;
  const logger = silentLogger;
  drone = await serve(
    await buildDroneService({
      databaseUrl: services.drone.url,
      logger,
      workflows: new RecordedWorkflows(),
    }),
    droneContract,
  );
  account = await serve(
    await buildAccountService({ databaseUrl: services.account.url, logger }),
    accountContract,
  );
});
afterAll(async () => {
  await Promise.all([drone.close(), account.close()]);
  await database.drop();
});

async function everything() {
  const [models, bases, drones, accounts] = await Promise.all([
    drone.client.listModels({}),
    drone.client.listBases({}),
    drone.client.listDrones({ query: { limit: 200 } }),
    account.client.listAccounts({ query: { limit: 200 } }),
  ]);
  return { models: models.data, bases: bases.data, drones: drones.data, accounts: accounts.data };
}

describe('the seed', () => {
  it('loads the fleet and the demo accounts, and changes nothing when it is run again', async () => {
    const clients = { drone: drone.client, account: account.client };
    expect(await seedFleet(clients)).toEqual({ models: 3, bases: 6, drones: 30, accounts: 4 });
    const first = await everything();
    expect(first.models).toHaveLength(MODELS.length);
    expect(first.bases).toHaveLength(BASES.length);
    expect(new Set(first.drones.map((one) => one.id))).toEqual(new Set(DRONES.map((one) => one.id)));
    expect(new Set(first.drones.map((one) => one.state))).toEqual(new Set(['idle']));
    await seedFleet(clients);
    expect(await everything()).toEqual(first);
  });

  it('leaves a drone alone that is not as it was seeded', async () => {
    const [one] = DRONES;
    const params = { drone_id: one!.id };
    await drone.client.setDroneState({
      params,
      body: { state: 'maintenance', reason: 'propeller', by: 'test' },
    });
    await seedFleet({ drone: drone.client, account: account.client });
    expect((await drone.client.getDrone({ params })).state).toBe('maintenance');
  });

  it('is a command, and says what it did', async () => {
    const { stdout } = await execa(process.execPath, ['--import', 'tsx', 'local/seed.ts'], {
      cwd: join(import.meta.dirname, '../..'),
      env: { DRONE_URL: drone.url, ACCOUNT_URL: account.url },
    });
    expect(stdout).toBe('Seeded 3 models, 6 bases, 30 drones and 4 accounts.');
  });

  it('says in one line that a service is not there', async () => {
    const { exitCode, stderr } = await execa(process.execPath, ['--import', 'tsx', 'local/seed.ts'], {
      cwd: join(import.meta.dirname, '../..'),
      env: { DRONE_URL: 'http://127.0.0.1:1', ACCOUNT_URL: account.url },
      reject: false,
    });
    expect(exitCode).toBe(1);
    expect(stderr).toContain('could not be reached');
    expect(stderr).not.toContain('    at ');
  });
});

describe('the seeded world', () => {
  it('has an account for each thing that an account can be', () => {
    expect(ACCOUNTS.standard.preferences.carrier_fallback).toBe(false);
    expect(ACCOUNTS.carrierFallback.preferences.carrier_fallback).toBe(true);
    expect(ACCOUNTS.suspended.state).toBe('suspended');
    expect(ACCOUNTS.tinyCredit.credit_limit.amount).toBeLessThan(TARIFF.baseCents);
  });

  it('can deliver for eight kilometres with a full load, and its bases are not farther apart than that reaches', () => {
    const [start] = BASES;
    for (const model of MODELS) {
      const plan = planMission(model, {
        base: start!.location,
        start: start!.location,
        pickup: start!.location,
        dropoff: destination(start!.location, 225, 8_000),
        payloadKg: model.max_payload_kg,
        pickupWaitS: 600,
        dropoffHoverS: 120,
      });
      expect(plan.feasible(1), model.name).toBe(true);
    }
    for (const base of BASES) {
      const nearestM = Math.min(
        ...BASES.filter((one) => one !== base).map((one) => distanceM(base.location, one.location)),
      );
      expect(nearestM, base.name).toBeLessThan(2 * 8_000);
    }
  });
});

/** Who tells the workflows of milestones, when two processes could, or one has just failed to. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { silentLogger } from '../../../test/support/service.ts';
import { openDatabase, type Database } from '../data/database.ts';
import { MilestoneSignals } from '../pumps/milestone-signals.ts';
import { RecordedWorkflows, type Running, World } from './support.ts';

/** Nobody looks by himself during a test. */
const LOOK_EVERY_MS = 60 * 60 * 1000;
const CLAIM_IS_OVER_MS = 16_000;

let world: World;
beforeAll(async () => {
  world = await World.open({ lookEveryMs: LOOK_EVERY_MS });
});
afterAll(() => world.close());

/** A process whose signals are never answered. */
async function unheard(): Promise<Running> {
  const workflows = new RecordedWorkflows();
  workflows.delay = () => new Promise(() => undefined);
  return world.another({ workflows });
}

const CLAIMANT = 'takes over';

const takingOver = (database: Database, workflows: RecordedWorkflows) =>
  new MilestoneSignals({
    database,
    workflows,
    logger: silentLogger,
    wall: () => world.nowMs,
    claimant: CLAIMANT,
    lookEveryMs: LOOK_EVERY_MS,
  });

test('When a process hears late of what it has told, then what another one has to tell is not told twice', async () => {
  await world.addDrone();
  const delivery = await world.dispatched();
  const dying = await unheard();
  const other = await world.another();
  await delivery.tell('took_off', {}, dying.aircraft);
  await delivery.tell('arrived_at_pickup', {}, dying.aircraft);
  await delivery.getLoadToken();
  world.nowMs += CLAIM_IS_OVER_MS;

  let loading: Promise<unknown> | undefined;
  const load = () => (loading ??= delivery.tell('loaded', {}, other.aircraft));
  let readings = 0;
  const plain = openDatabase(world.database.url, silentLogger);
  const database = plain.$extends({
    query: {
      milestone: {
        async findMany({ args, query }) {
          readings += 1;
          // Between what it has settled and what it reads next, the other process comes first.
          if (readings > 1) await load();
          return query(args);
        },
      },
    },
  }) as unknown as Database;
  const workflows = new RecordedWorkflows();
  const signals = takingOver(database, workflows);
  workflows.delay = async () => {
    if (workflows.attempts !== 2) return;
    const { data } = await world.drone.readMilestones({
      params: { reservation_id: delivery.reservationId },
      query: { after_sequence: 1 },
    });
    const reservation = { id: delivery.reservationId, deliveryId: delivery.id };
    signals.push(reservation, { missionId: null, toSignal: data, claimed: true, signalledSequence: 0 });
  };
  await signals.runDue();
  await load();
  await other.app.dronePumps.runDue();
  await signals.stop();
  await plain.$disconnect();

  const told = (by: RecordedWorkflows) => by.milestones(delivery.id).map((one) => one.kind);
  expect(told(workflows)).toEqual(['took_off', 'arrived_at_pickup']);
  expect(told(world.workflows)).toEqual(['loaded']);
});

test('What a process commits while it gives up telling what came before is told in the next round', async () => {
  await world.addDrone();
  const delivery = await world.dispatched();
  const dying = await unheard();
  await delivery.tell('took_off', {}, dying.aircraft);
  world.nowMs += CLAIM_IS_OVER_MS;

  const workflows = new RecordedWorkflows();
  const plain = openDatabase(world.database.url, silentLogger);
  const commit = async () => {
    const until = new Date(world.nowMs + CLAIM_IS_OVER_MS);
    await plain.$executeRaw`
      UPDATE reservations SET signal_claimed_by = ${CLAIMANT}, signal_claimed_wall = ${until}
       WHERE id = ${delivery.reservationId}`;
    const { data } = await world.drone.readMilestones({
      params: { reservation_id: delivery.reservationId },
      query: { after_sequence: 0 },
    });
    const reservation = { id: delivery.reservationId, deliveryId: delivery.id };
    const toSignal = data.map((one) => ({ ...one, sequence: one.sequence + 1 }));
    signals.push(reservation, { missionId: null, toSignal, claimed: true, signalledSequence: 0 });
  };
  let givenUp = 0;
  const database = new Proxy(plain, {
    get(target, name, receiver) {
      if (name !== '$queryRaw') return Reflect.get(target, name, receiver) as unknown;
      return async (query: TemplateStringsArray, ...values: unknown[]) => {
        const rows = await target.$queryRaw(query, ...values);
        const givesUp = /signalled_sequence = greatest/.test(query.join('')) && values.includes(true);
        if (givesUp && (givenUp += 1) === 1) await commit();
        return rows;
      };
    },
  });
  const signals = takingOver(database, workflows);
  workflows.down = true;
  await expect(signals.runDue()).rejects.toThrow('no connection to the cluster');
  expect(givenUp).toBeGreaterThan(0);
  workflows.down = false;
  await signals.runDue();
  await signals.stop();
  await plain.$disconnect();
  expect(workflows.milestones(delivery.id).map((one) => one.kind)).toEqual(['took_off']);
});

/** Who tells the workflows of milestones, when two processes could. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { silentLogger } from '../../../test/support/service.ts';
import { openDatabase, type Database } from '../data/database.ts';
import { MilestoneSignals } from '../pumps/milestone-signals.ts';
import { RecordedWorkflows, World } from './support.ts';

/** Nobody looks by himself during a test. */
const LOOK_EVERY_MS = 60 * 60 * 1000;
const CLAIM_IS_OVER_MS = 16_000;

let world: World;
beforeAll(async () => {
  world = await World.open({ lookEveryMs: LOOK_EVERY_MS });
});
afterAll(() => world.close());

test('When a process hears late of what it has told, then what another one has to tell is not told twice', async () => {
  await world.addDrone();
  const delivery = await world.dispatched();
  const unanswered = new RecordedWorkflows();
  unanswered.delay = () => new Promise(() => undefined);
  const dying = await world.another({ workflows: unanswered });
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
  const signals = new MilestoneSignals({
    database,
    workflows,
    logger: silentLogger,
    wall: () => world.nowMs,
    claimant: 'takes over',
    lookEveryMs: LOOK_EVERY_MS,
  });
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

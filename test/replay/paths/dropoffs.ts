/** Another dropoff: at every point, refused, undone, and racing with whatever else. */
import type { Fault } from '../../workflows/faults.ts';
import type { LabDelivery } from '../../workflows/lab-delivery.ts';
import type { DeliveryOptions } from '../../workflows/scene.ts';
import { HOUR_S, type Path, type Scenes } from './scenes.ts';

const NEAR: DeliveryOptions = { toDropoffM: 2_000 };
const FURTHER_M = 4_000;
const TOO_FAR_M = 40_000;

const flying = async ({ lab }: Scenes, options: DeliveryOptions = {}): Promise<LabDelivery> => {
  const delivery = await lab.start({ ...NEAR, ...options });
  await delivery.untilStatus('enroute_to_dropoff');
  return delivery;
};
const onTheGround = async ({ lab }: Scenes, options: DeliveryOptions = {}): Promise<LabDelivery> => {
  const delivery = await lab.start({ ...NEAR, pickup: { fromS: 900, toS: HOUR_S }, ...options });
  await delivery.untilStatus('confirmed');
  return delivery;
};
const to =
  (metres: number, point: (scenes: Scenes) => Promise<LabDelivery>): Path =>
  async (scenes) => {
    const delivery = await point(scenes);
    await delivery.changeDropoff(delivery.dropoffAt(metres));
    return delivery;
  };

/** Out of reach, for so long, when it is told to fly elsewhere; a second wish is refused meanwhile. */
const outOfReach =
  (forS: number, metres: number): Path =>
  async (scenes) => {
    const { lab } = scenes;
    const delivery = await flying(scenes, { toDropoffM: metres });
    const [droneId] = delivery.scene.droneIds;
    if (droneId === undefined) throw new Error('no drone');
    lab.pilot.arm(droneId, { failure: 'lost_link', stage: 'to_dropoff', at: 0, forS });
    await scenes.unheard(1);
    await lab.settle();
    await delivery.changeDropoff(delivery.dropoffAt(metres + 500, 10));
    await delivery.changeDropoff(delivery.dropoffAt(1_500), { updateId: 'other' });
    return delivery;
  };

/** The drone service does not answer when it is told to fly elsewhere, until it has gone on. */
const unanswered =
  (
    goOn: (scenes: Scenes, delivery: LabDelivery) => Promise<unknown>,
    at: 'enroute_to_pickup' | 'enroute_to_dropoff' = 'enroute_to_dropoff',
  ): Path =>
  async (scenes) => {
    const delivery = await scenes.at(at, NEAR);
    scenes.lab.faults.arm(
      { activity: 'rerouteDrone', how: 'down' },
      { activity: 'readDroneMilestones', how: 'down' },
    );
    await delivery.changeDropoff(delivery.dropoffAt(FURTHER_M));
    await goOn(scenes, delivery);
    scenes.lab.faults.clear();
    return delivery;
  };

/** Its price must be raised to go further. */
const CHEAP: DeliveryOptions = { ...NEAR, priceCents: 559 + 120 };
/** A step of a change on the ground that does not answer, and how the delivery goes on afterwards, should it not end. */
const UNANSWERED: Readonly<
  Record<
    string,
    {
      point: (scenes: Scenes) => Promise<LabDelivery>;
      fault: Fault;
      goOn?: (scenes: Scenes, delivery: LabDelivery) => Promise<void>;
    }
  >
> = {
  'dropoff-not-authorized-on-the-ground': {
    point: (scenes) => onTheGround(scenes, CHEAP),
    fault: { activity: 'authorize', key: /reauthorize/, how: 'down' },
  },
  'dropoff-not-flown-on-the-ground': {
    point: (scenes) => onTheGround(scenes, CHEAP),
    fault: { activity: 'rerouteDrone', how: 'lose_answer' },
  },
  'dropoff-not-assessed-while-scheduled': {
    point: (scenes) => scenes.scheduled(2, CHEAP),
    fault: { activity: 'assessJob', how: 'down' },
    goOn: (scenes, delivery) => scenes.untilPlanned(delivery),
  },
  'dropoff-not-assessed-while-waiting-for-a-drone': {
    point: (scenes) => scenes.awaitingDrone(CHEAP),
    fault: { activity: 'assessJob', how: 'down' },
    goOn: (scenes, delivery) => scenes.repair(delivery),
  },
};

export const DROPOFFS: Readonly<Record<string, Path>> = {
  'dropoff-changed-on-the-way-to-the-pickup': to(FURTHER_M, (scenes) => scenes.at('enroute_to_pickup', NEAR)),
  'dropoff-changed-in-flight': to(FURTHER_M, (scenes) => flying(scenes)),
  'dropoff-changed-thrice': async (scenes) => {
    const delivery = await scenes.at('enroute_to_pickup', NEAR);
    for (const [index, metres] of [5_000, 3_000, 1_000].entries()) {
      await delivery.changeDropoff(delivery.dropoffAt(metres), { updateId: `turn-${index}` });
    }
    return delivery;
  },
  'dropoff-changed-while-scheduled': async (scenes) => {
    const delivery = await scenes.scheduled(2, NEAR);
    await delivery.changeDropoff(delivery.dropoffAt(3_000));
    await scenes.untilPlanned(delivery);
    return delivery;
  },
  'dropoff-changed-on-the-ground': to(3_000, (scenes) => onTheGround(scenes)),
  'dropoff-changed-to-where-only-another-drone-can-go': to(11_000, async ({ lab }) => {
    const scene = await lab.prepare();
    await scene.addLongRangeDrone();
    const delivery = await scene.order({ ...NEAR, pickup: { fromS: 900, toS: HOUR_S } });
    await delivery.untilStatus('confirmed');
    return delivery;
  }),
  'dropoff-changed-while-waiting-for-a-drone': async (scenes) => {
    const delivery = await scenes.awaitingDrone(NEAR);
    await delivery.changeDropoff(delivery.dropoffAt(3_000));
    await scenes.repair(delivery);
    return delivery;
  },
  'dropoff-changed-across-runs': async (scenes) => {
    const delivery = await scenes.scheduled(24, { ...NEAR, policy: { historyEvents: 50 } });
    for (let turn = 1; turn <= 8; turn += 1) {
      const place = delivery.dropoffAt((2 + (turn % 3)) * 1_000);
      await delivery.changeDropoff(place, { updateId: `turn-${turn}` });
    }
    await delivery.cancel();
    return delivery;
  },
  'dropoff-changed-and-returned': async (scenes) => {
    const delivery = await scenes.withFailure({ failure: 'dropoff_blocked' }, NEAR);
    await delivery.untilStatus('enroute_to_dropoff');
    await delivery.changeDropoff(delivery.dropoffAt(3_000));
    return delivery;
  },
  'dropoff-changed-to-the-same-and-from-another': async (scenes) => {
    const delivery = await scenes.at('enroute_to_pickup', NEAR);
    const seen = (await delivery.read()).dropoff.location;
    const elsewhere = delivery.dropoffAt(500);
    await delivery.changeDropoff(seen, { updateId: 'door' });
    await delivery.changeDropoff(seen, { updateId: 'again' });
    await delivery.changeDropoff(elsewhere, { updateId: 'late', from: elsewhere });
    return delivery;
  },
  'dropoff-too-far-while-scheduled': async (scenes) => {
    const delivery = await scenes.scheduled(2, NEAR);
    await delivery.changeDropoff(delivery.dropoffAt(TOO_FAR_M));
    await scenes.untilPlanned(delivery);
    return delivery;
  },
  'dropoff-too-far-on-the-ground': to(TOO_FAR_M, (scenes) => onTheGround(scenes)),
  'dropoff-too-far-in-flight': to(12_000, (scenes) => flying(scenes)),
  'dropoff-after-the-deadline-in-flight': to(5_000, (scenes) =>
    flying(scenes, { deadlineInS: 460, priceCents: 559 + 120 }),
  ),
  'dropoff-after-the-deadline-on-the-ground': to(5_000, (scenes) =>
    onTheGround(scenes, { deadlineInS: 1_150, priceCents: 559 + 120 }),
  ),
  'dropoff-without-credit': to(3_000, (scenes) =>
    flying(scenes, { priceCents: 559 + 120, account: { creditCents: 559 + 120 + 59 } }),
  ),
  'dropoff-too-late': to(3_000, async ({ lab }) => {
    const delivery = await lab.start(NEAR);
    await delivery.untilStatus('arrived_at_dropoff');
    return delivery;
  }),
  'dropoff-too-late-with-a-carrier': to(3_000, async (scenes) => {
    const delivery = await scenes.byCarrier(NEAR);
    await delivery.untilStatus('enroute_to_pickup');
    return delivery;
  }),
  'dropoff-too-late-as-it-has-ended': async (scenes) => {
    const delivery = await scenes.compensating();
    await scenes.untilAsked(delivery);
    await delivery.changeDropoff(delivery.dropoffAt(3_000));
    await scenes.resolve(delivery, 'done');
    return delivery;
  },
  ...Object.fromEntries(
    (['refuse', 'act_then_refuse', 'hang'] as const).flatMap((how): [string, Path][] =>
      [flying, onTheGround].map((point, onGround): [string, Path] => [
        `reroute-${how.replaceAll('_', '-')}-${onGround ? 'on-the-ground' : 'in-flight'}`,
        async (scenes) => {
          const delivery = await point(scenes, { policy: { rerouteAnswerS: 3 } });
          scenes.lab.faults.arm({ activity: 'rerouteDrone', how });
          await delivery.changeDropoff(delivery.dropoffAt(FURTHER_M));
          scenes.lab.faults.clear();
          return delivery;
        },
      ]),
    ),
  ),
  ...Object.fromEntries(
    Object.entries(UNANSWERED).flatMap(([name, { point, fault, goOn }]): [string, Path][] => {
      const asked = async (scenes: Scenes) => {
        const delivery = await point(scenes);
        scenes.lab.faults.arm(fault);
        return delivery;
      };
      return [
        [
          `${name}-and-given-up`,
          async (scenes) => {
            const delivery = await asked(scenes);
            await delivery.changeDropoff(delivery.dropoffAt(FURTHER_M));
            scenes.lab.faults.clear();
            await goOn?.(scenes, delivery);
            return delivery;
          },
        ],
        [
          `${name}-and-cancelled`,
          async (scenes) => {
            const delivery = await asked(scenes);
            const asking = delivery.askToChangeDropoff(delivery.dropoffAt(FURTHER_M));
            await scenes.lab.until('it is being tried', () =>
              scenes.lab.faults.callsOf(delivery.id).some((one) => one.hit),
            );
            await delivery.cancel();
            await asking;
            scenes.lab.faults.clear();
            return delivery;
          },
        ],
      ];
    }),
  ),
  'dropoff-not-written-down-on-the-ground': async (scenes) => {
    const delivery = await onTheGround(scenes, CHEAP);
    scenes.lab.faults.arm({ activity: 'appendEvents', key: /event_dropoff_changed/, how: 'refuse' });
    await delivery.changeDropoff(delivery.dropoffAt(FURTHER_M));
    return delivery;
  },
  'reauthorize-acts-then-refuses': async (scenes) => {
    const delivery = await flying(scenes);
    scenes.lab.faults.arm({ activity: 'authorize', key: /reauthorize/, how: 'act_then_refuse' });
    await delivery.changeDropoff(delivery.dropoffAt(FURTHER_M));
    return delivery;
  },
  'rerouted-and-cancelled-on-the-ground': async (scenes) => {
    const delivery = await onTheGround(scenes);
    scenes.lab.faults.arm({ activity: 'rerouteDrone', how: 'hang', times: 1 });
    const asking = delivery.askToChangeDropoff(delivery.dropoffAt(FURTHER_M));
    await scenes.lab.settle();
    await delivery.cancel();
    await asking;
    // What hangs does not hear that it was cancelled, and no time is skipped until it ends.
    scenes.lab.faults.clear();
    return delivery;
  },
  // The change was offered to a drone that fails: it is done with the next one.
  'rerouted-and-its-drone-fails': async (scenes) => {
    const { lab } = scenes;
    const scene = await lab.prepare();
    const [droneId] = scene.droneIds;
    if (droneId === undefined) throw new Error('no drone');
    const delivery = await scene.order({ ...NEAR, priceCents: 559 + 120 });
    await delivery.untilStatus('enroute_to_pickup');
    lab.pilot.arm(droneId, { failure: 'lost_link', stage: 'to_pickup', at: 0 });
    await scenes.unheard(1);
    await lab.settle();
    await delivery.changeDropoff(delivery.dropoffAt(3_000));
    await scene.addDrone();
    return delivery;
  },
  'reroute-done-and-never-answered': async (scenes) => {
    const delivery = await flying(scenes);
    scenes.lab.faults.arm({ activity: 'rerouteDrone', how: 'lose_answer' });
    await delivery.changeDropoff(delivery.dropoffAt(FURTHER_M));
    return delivery;
  },
  'reroute-answered-later': unanswered(async ({ lab }) => lab.faults.clear()),
  'reroute-not-answered-and-arrived': unanswered((_scenes, delivery) =>
    delivery.untilStatus('arrived_at_dropoff'),
  ),
  'reroute-not-answered-and-brought-back': unanswered(async (scenes, delivery) => {
    await scenes.abort(delivery);
    await delivery.untilStatus('enroute_to_return');
  }),
  'reroute-not-answered-and-its-drone-fails': unanswered(async (scenes, delivery) => {
    const [droneId] = delivery.scene.droneIds;
    if (droneId === undefined) throw new Error('no drone');
    scenes.lab.pilot.arm(droneId, { failure: 'motor_failure', stage: 'to_pickup', at: 0 });
    await delivery.scene.addDrone();
    await scenes.lab.until('another one has it', async () => (await delivery.read()).attempt === 2);
  }, 'enroute_to_pickup'),
  'rerouted-out-of-reach-and-back-in-time': outOfReach(60, 3_000),
  'rerouted-out-of-reach-and-too-late': outOfReach(600, 5_000),
  'rerouted-out-of-reach-longer-than-anybody-waits': outOfReach(60, 3_000),
};

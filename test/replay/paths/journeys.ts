/** From the accept to the end, when nothing breaks: by drone, by carrier, refused, scheduled, moved, continued as new. */
import { isoTime } from '../../../shared/clock.ts';
import { newId } from '../../../shared/ids.ts';
import type { LabDelivery } from '../../workflows/lab-delivery.ts';
import { DAY_S, HOUR_S, type Path, type Scenes } from './scenes.ts';

const TOO_HEAVY_KG = 8;
/** As the simulated carrier has it. */
const QUOTE_VALID_S = 1_800;
/** An authorization is valid for a week, and renewed a day before its end. */
const RENEWED_AFTER_S = 6 * DAY_S;

/** The carrier is not heard for so long that a person is asked, and answers. */
async function carrierGivenUp(scenes: Scenes, answer: string): Promise<LabDelivery> {
  const delivery = await scenes.byCarrier({ policy: { carrierSlackS: 60 } });
  await delivery.untilStatus('enroute_to_dropoff');
  await scenes.unheard(6 * HOUR_S);
  await scenes.answerAtOnce(delivery, answer);
  return delivery;
}

export const JOURNEYS: Readonly<Record<string, Path>> = {
  'delivered-by-drone': ({ lab }) => lab.start(),
  'delivered-expedited': ({ lab }) => lab.start({ expedited: true, deadlineInS: 2 * HOUR_S }),
  'delivered-after-waiting-for-a-drone': async (scenes) => {
    const delivery = await scenes.awaitingDrone();
    await scenes.repair(delivery);
    return delivery;
  },
  'refused-account-suspended': ({ lab }) => lab.start({ account: { state: 'suspended' } }),
  'refused-account-closed': ({ lab }) => lab.start({ account: { state: 'closed' } }),
  'refused-credit-exceeded': ({ lab }) => lab.start({ account: { creditCents: 100 } }),
  'refused-payload-too-heavy': ({ lab }) => lab.start({ weightKg: 50 }),
  'refused-out-of-range': ({ lab }) => lab.start({ toDropoffM: 60_000 }),
  'no-drone-until-the-deadline': async (scenes) => {
    const scene = await scenes.grounded();
    return scene.order({ deadlineInS: 1_800 });
  },

  'by-carrier-as-no-drone-can-lift-it': (scenes) => scenes.byCarrier({ weightKg: TOO_HEAVY_KG }),
  'by-carrier-as-no-drone-was-free': async (scenes) => {
    const scene = await scenes.grounded({ account: { carrier: true, carrierCapCents: 10_000 } });
    return scene.order({ policy: { awaitDroneS: 300 } });
  },
  'by-carrier-before-the-deadline': async (scenes) => {
    const scene = await scenes.grounded({ account: { carrier: true, carrierCapCents: 10_000 } });
    return scene.order({ deadlineInS: 3 * HOUR_S });
  },
  'by-carrier-in-time-for-its-window': async (scenes) => {
    const scene = await scenes.grounded({ account: { carrier: true, carrierCapCents: 10_000 } });
    return scene.order({ pickup: { fromS: 0, toS: HOUR_S } });
  },
  'carrier-too-late-for-the-window': async (scenes) => {
    const { lab } = scenes;
    const inS = (seconds: number) => isoTime(lab.nowMs + seconds * 1000);
    const answer = {
      outcome: 'quoted',
      quote_id: newId('quote'),
      carrier: 'Slow Carrier',
      price: { amount: 500, currency: 'USD' },
      pickup_eta: inS(2 * HOUR_S),
      dropoff_eta: inS(3 * HOUR_S),
      expires_at: inS(DAY_S),
    };
    lab.faults.arm({ activity: 'quoteCarrier', how: 'lie', answer });
    return scenes.byCarrier({ weightKg: TOO_HEAVY_KG, pickup: { fromS: 0, toS: HOUR_S } });
  },
  'changes-while-a-carrier-is-asked': async (scenes) => {
    const delivery = await scenes.stuckAt('quoteCarrier', {
      drones: 0,
      account: { carrier: true, carrierCapCents: 10_000 },
      policy: { awaitDroneS: 1 },
    });
    await delivery.reschedule(scenes.inHours(1));
    await delivery.changeDropoff(delivery.dropoffAt(1_000));
    scenes.lab.faults.clear();
    return delivery;
  },
  'by-carrier-overdue': async (scenes) => {
    const delivery = await scenes.byCarrier({ policy: { carrierSlackS: 60 } });
    await delivery.untilStatus('enroute_to_dropoff');
    await scenes.unheard(2 * HOUR_S);
    return delivery;
  },
  'by-carrier-overdue-and-given-up': (scenes) => carrierGivenUp(scenes, 'lost'),
  'by-carrier-overdue-and-delivered-by-hand': (scenes) => carrierGivenUp(scenes, 'delivered'),
  'by-carrier-overdue-and-lost': async (scenes) => {
    // It hands over three minutes after it arrives.
    const delivery = await scenes.byCarrier({ policy: { carrierSlackS: 1 } });
    await delivery.untilStatus('arrived_at_dropoff');
    await scenes.resolve(delivery, 'lost');
    return delivery;
  },
  'by-carrier-and-signals-lost': async (scenes) => {
    const delivery = await scenes.byCarrier();
    await delivery.untilStatus('enroute_to_pickup');
    await scenes.withoutSignals('it has asked', async () => {
      return (await delivery.read()).status !== 'enroute_to_pickup';
    });
    return delivery;
  },
  'carrier-above-the-cap': (scenes) =>
    scenes.byCarrier({ account: { carrier: true, carrierCapCents: 1 }, weightKg: TOO_HEAVY_KG }),
  'carrier-refuses-the-quote': async (scenes) => {
    await scenes.lab.clients.carrier.setSimulation({ body: { available: false } });
    try {
      const delivery = await scenes.byCarrier();
      await delivery.untilComplete();
      return delivery;
    } finally {
      await scenes.lab.clients.carrier.setSimulation({ body: { available: true } });
    }
  },
  'carrier-refuses-the-booking': async (scenes) => {
    const { carrier } = scenes.lab.clients;
    const delivery = await scenes.stuckAt('bookCarrier', {
      drones: 0,
      account: { carrier: true, carrierCapCents: 10_000 },
    });
    await carrier.setSimulation({ body: { available: false } });
    try {
      scenes.lab.faults.clear();
      await delivery.untilComplete();
      return delivery;
    } finally {
      await carrier.setSimulation({ body: { available: true } });
    }
  },
  // Recorded before and since another quote is asked for: what fails in the first is booked in the second.
  'carrier-quote-expires': async (scenes) => {
    const delivery = await scenes.stuckAt('bookCarrier', {
      drones: 0,
      account: { carrier: true, carrierCapCents: 10_000 },
    });
    await scenes.unheard(QUOTE_VALID_S);
    scenes.lab.faults.clear();
    return delivery;
  },
  'carrier-breaks-down': async (scenes) => {
    await scenes.lab.clients.carrier.setSimulation({ body: { fail_next_bookings: 1 } });
    return scenes.byCarrier();
  },

  scheduled: async (scenes) => {
    const delivery = await scenes.scheduled(24);
    await scenes.untilPlanned(delivery);
    return delivery;
  },
  'scheduled-in-a-window-that-has-begun': ({ lab }) => lab.start({ pickup: { fromS: 0, toS: HOUR_S } }),
  'scheduled-and-no-drone-in-the-window': async (scenes) => {
    const scene = await scenes.grounded();
    return scene.order({ pickup: { fromS: 0, toS: 300 } });
  },
  'scheduled-renewed-twice': async (scenes) => {
    const delivery = await scenes.scheduled(14 * 24);
    await scenes.untilPlanned(delivery);
    return delivery;
  },
  // The short step becomes a durable one, and the wait goes on when it has been answered.
  'renewal-is-away-for-a-while': async (scenes) => {
    const { lab } = scenes;
    const delivery = await scenes.scheduled(8 * 24);
    lab.faults.arm({ activity: 'renewAuthorization', how: 'down', times: 8 });
    await lab.leapUntil(lab.wallNowMs + RENEWED_AFTER_S * 1000 + 1_000, delivery);
    await scenes.untilTried(delivery, 'renewAuthorization', 9);
    await scenes.untilPlanned(delivery);
    return delivery;
  },
  'scheduled-and-suspended-meanwhile': async (scenes) => {
    const delivery = await scenes.scheduled(20 * 24);
    await scenes.lab.clients.account.setAccountState({
      params: { account_id: delivery.scene.accountId },
      body: { state: 'suspended', reason: 'unpaid', by: 'recorder' },
    });
    await scenes.lab.leapUntil(scenes.lab.wallNowMs + 7 * 24 * HOUR_S * 1000, delivery);
    return delivery;
  },
  'rescheduled-later': async (scenes) => {
    const delivery = await scenes.scheduled(24);
    await delivery.reschedule(scenes.inHours(48));
    await scenes.untilPlanned(delivery);
    return delivery;
  },
  'rescheduled-earlier': async (scenes) => {
    const delivery = await scenes.scheduled(24);
    await delivery.reschedule(scenes.inHours(3));
    await scenes.untilPlanned(delivery);
    return delivery;
  },
  'rescheduled-to-now': async (scenes) => {
    const delivery = await scenes.scheduled(24);
    await delivery.reschedule(scenes.inHours(0));
    return delivery;
  },
  'rescheduled-to-the-same-window-and-from-another': async (scenes) => {
    const delivery = await scenes.scheduled(4);
    const { pickup_window: seen } = await delivery.read();
    if (!seen) throw new Error('not scheduled');
    await delivery.reschedule(seen, { updateId: 'the-same' });
    await delivery.reschedule(scenes.inHours(6), { updateId: 'first', from: seen });
    await delivery.reschedule(scenes.inHours(8), { updateId: 'second', from: seen });
    await scenes.untilPlanned(delivery);
    return delivery;
  },
  'rescheduled-while-reserving': async (scenes) => {
    const delivery = await scenes.scheduled(2);
    scenes.lab.faults.arm({ activity: 'reserveDrone', how: 'hang', times: 1 });
    await scenes.untilPlanned(delivery);
    await delivery.reschedule(scenes.inHours(10));
    scenes.lab.faults.clear();
    await scenes.untilPlanned(delivery);
    return delivery;
  },
  'rescheduled-while-waiting-for-a-drone': async (scenes) => {
    const delivery = await scenes.awaitingDrone();
    await delivery.reschedule(scenes.inHours(10));
    await scenes.repair(delivery);
    await scenes.untilPlanned(delivery);
    return delivery;
  },
  'rescheduled-while-reserving-again': async (scenes) => {
    const delivery = await scenes.awaitingDrone();
    scenes.lab.faults.arm({ activity: 'reserveDrone', how: 'hang', times: 1 });
    await delivery.handle.signal('droneAvailable');
    await delivery.reschedule(scenes.inHours(10));
    scenes.lab.faults.clear();
    await scenes.repair(delivery);
    await scenes.untilPlanned(delivery);
    return delivery;
  },
  'rescheduled-while-confirming': async (scenes) => {
    const delivery = await scenes.scheduled(2);
    scenes.lab.faults.arm({ activity: 'appendEvents', how: 'hang', times: 1 });
    await scenes.untilPlanned(delivery);
    const asked = delivery.reschedule(scenes.inHours(10));
    scenes.lab.faults.clear();
    await asked;
    await scenes.untilPlanned(delivery);
    return delivery;
  },
  'rescheduled-while-its-drone-waits-on-the-ground': async (scenes) => {
    const delivery = await scenes.scheduled(2);
    await scenes.untilPlanned(delivery);
    await delivery.reschedule(scenes.inHours(5));
    await scenes.untilPlanned(delivery);
    return delivery;
  },
  'rescheduled-while-compensating': async (scenes) => {
    const delivery = await scenes.compensating();
    await scenes.untilAsked(delivery);
    await delivery.reschedule(scenes.inHours(10));
    await scenes.resolve(delivery, 'done');
    return delivery;
  },
  'rescheduled-too-late': async (scenes) => {
    const delivery = await scenes.at('enroute_to_pickup');
    await delivery.reschedule(scenes.inHours(10));
    return delivery;
  },
  'rescheduled-too-late-with-a-carrier': async (scenes) => {
    const delivery = await scenes.byCarrier();
    await delivery.untilStatus('enroute_to_pickup');
    await delivery.reschedule(scenes.inHours(10));
    return delivery;
  },
  'continued-as-new-while-scheduled': async (scenes) => {
    const delivery = await scenes.scheduled(24, { policy: { historyEvents: 50 } });
    for (let n = 1; n <= 10; n += 1) {
      await delivery.reschedule(scenes.inHours(24 + n), { updateId: `move-${n}` });
    }
    // Handled by a run that has ended.
    await delivery.reschedule(scenes.inHours(25), { updateId: 'move-1' });
    await scenes.untilPlanned(delivery);
    return delivery;
  },
  'continued-as-new-while-waiting-for-a-drone': async (scenes) => {
    const delivery = await scenes.awaitingDrone({ policy: { historyEvents: 50 } });
    const { runId } = await delivery.handle.describe();
    while ((await delivery.handle.describe()).runId === runId) {
      await delivery.handle.signal('droneAvailable');
      await scenes.lab.settle();
    }
    await scenes.repair(delivery);
    return delivery;
  },
  'continued-as-new-and-cancelled': async (scenes) => {
    const delivery = await scenes.scheduled(24, { policy: { historyEvents: 50 } });
    const { runId } = await delivery.handle.describe();
    for (let n = 1; (await delivery.handle.describe()).runId === runId; n += 1) {
      await delivery.reschedule(scenes.inHours(24 + n), { updateId: `move-${n}` });
    }
    await delivery.cancel();
    return delivery;
  },
};

/**
 * Moments that coincide: a cancel with a deadline, with the loading, with a drone that frees itself, with a step's answer, with
 * another cancel, with the absence of every worker.
 * On the real Temporal server: the time-skipping one wedges where a timer is cancelled as it fires.
 */
import type { temporal } from '@temporalio/proto';
import { setTimeout as delay } from 'node:timers/promises';
import { WorkflowUpdateStage } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { interventionIdOf } from '../../services/delivery/contract/interventions.ts';
import { clockTimeMs } from '../../shared/clock.ts';
import type { DeliveryState } from '../../workflows/messages.ts';
import type { ScriptedFailure } from '../support/pilot.ts';
import type { Fault } from './faults.ts';
import { openFrontDoor } from './front-door.ts';
import { IDENTITY, Lab, type LabWorker } from './lab.ts';
import type { LabDelivery } from './lab-delivery.ts';
import type { DeliveryOptions, Scene } from './scene.ts';
import type { History } from '../replay/histories.ts';
import { commandsOf, toldInShort } from '../replay/commands.ts';
import { pickupRace } from './pickup-race.ts';

const RATE = 30;
let lab: Lab;
let worker: LabWorker;
beforeAll(async () => {
  lab = await Lab.open({ realTimeAtRate: RATE, build: null });
  worker = await lab.employ({});
}, 120_000);
afterEach(() => lab.rest());
afterAll(() => lab.close());

const CANCEL = { reason: 'requested_by_sender', actor: { role: 'business', id: 'test' } } as const;
const ROUNDS = 8;
/** Milliseconds before and after the moment, one for each round. */
const OFFSETS = Array.from({ length: ROUNDS }, (_, index) => (index - ROUNDS / 2) * 12);

/** Whatever won: it has ended in one way, everybody heard the same, and nothing is left. */
async function expectOneEnding(delivery: LabDelivery, allowed: string[]): Promise<void> {
  const { delivery: ended, outcome } = await delivery.untilComplete();
  expect(allowed).toContain(ended.status);
  expect(outcome.status).toBe(ended.status);
  await delivery.untilNothingHeld();
  const events = await delivery.events();
  expect(
    events.filter((event) =>
      ['delivery.cancelled', 'delivery.failed', 'delivery.delivered'].includes(event.type),
    ),
  ).toHaveLength(1);
  expect(events.map((event) => event.sequence)).toEqual(events.map((_, index) => index + 1));
}

/** What a cancel was answered, and what the caller of one is told who comes after the end. */
type Answered = Awaited<ReturnType<typeof cancel>>;

/**
 * Deliveries that are cancelled about the time when what they wait for has taken too long, one of each round; the first one is
 * cancelled long before that, and the last one when it has failed.
 * @param endsAfterS seconds of the delivery's clock after the event
 */
async function cancelledAround({
  event,
  endsAfterS,
  order,
}: {
  event: string;
  endsAfterS: number;
  order: () => Promise<LabDelivery>;
}): Promise<{ delivery: LabDelivery; answer: Answered }[]> {
  const rounds = ['long_before', ...OFFSETS, 'after'] as const;
  const deliveries = await Promise.all(rounds.map(order));
  const answers = await whileFlying(
    Promise.all(
      deliveries.map(async (delivery, round) => {
        const when = rounds[round];
        const sinceMs = await eventTime(delivery, event);
        if (when === 'after') await eventTime(delivery, 'delivery.failed');
        else if (typeof when === 'number') await untilWall(sinceMs + endsAfterS * 1000, when);
        return { delivery, answer: await cancel(delivery, 'at-the-deadline') };
      }),
    ),
  );
  expect((await answers.at(0)?.delivery.untilComplete())?.outcome.status).toBe('cancelled');
  expect((await answers.at(-1)?.delivery.untilComplete())?.outcome.status).toBe('failed');
  return answers;
}

/** It has ended in one of two ways, and the caller, the record, the timeline and the workflow tell the same of it. */
async function expectCancelledOrFailed(
  delivery: LabDelivery,
  answer: Answered,
  { reason, amount }: { reason: string; amount: number },
): Promise<void> {
  await expectOneEnding(delivery, ['cancelled', 'failed']);
  const { delivery: ended, outcome } = await delivery.untilComplete();
  const common = { charge: { amount, currency: 'USD' }, compensation: 'complete', interventions: [] };
  if (ended.status === 'cancelled') {
    expect(answer).toEqual({ outcome: 'cancelled', reason: null, detail: null });
    const cancellation_reason = 'requested_by_sender';
    expect(ended).toMatchObject({ ...common, cancellation_reason, failure_reason: null });
    expect(outcome).toMatchObject({ reason: cancellation_reason, compensation: 'complete' });
  } else {
    if (answer !== 'gone') expect(answer).toMatchObject({ outcome: 'refused', reason: 'already_failed' });
    expect(ended).toMatchObject({ ...common, cancellation_reason: null, failure_reason: reason });
    expect(outcome).toMatchObject({ reason, compensation: 'complete' });
  }
}

async function untilWall(clockMs: number, offsetMs: number): Promise<void> {
  const leftMs = (clockMs - clockTimeMs(lab.server.clock, Date.now())) / RATE + offsetMs;
  if (leftMs > 0) await delay(leftMs);
}

function cancel(delivery: LabDelivery, updateId: string) {
  return lab.workflows.cancel(
    delivery.id,
    { reason: 'requested_by_sender', actor: { role: 'business', id: delivery.scene.accountId } },
    { updateId, timeoutMs: 20_000 },
  );
}

/** So long a test waits for something while the drones fly on, wall milliseconds: it may take longer itself, and says what did not come. */
const WITHIN_MS = 60_000;

/** While the test waits for something, the drones fly on. */
const whileFlying = <T>(work: Promise<T>): Promise<T> =>
  lab.untilSettled('the work is done', work, { withinMs: WITHIN_MS });

/**
 * When the cancel is sent, one for each round: wall milliseconds after the drone has begun to load, which takes a second; while
 * it is still on its way, and when the package is aboard for certain.
 */
const AFTER_LOADING_BEGAN_MS = ['on_its_way', 300, 800, 920, 1_000, 'aboard'] as const;

describe('a cancel at the same moment as', () => {
  it('the loading: either it is recalled empty, or the package flies', async () => {
    const scenes = await Promise.all(AFTER_LOADING_BEGAN_MS.map(() => lab.prepare()));
    const deliveries = await Promise.all(
      scenes.map((scene) => scene.order({ toPickupM: 100, toDropoffM: 150 })),
    );
    const answers = await whileFlying(
      Promise.all(
        deliveries.map(async (delivery, round) => {
          await untilLoading(delivery, AFTER_LOADING_BEGAN_MS[round] ?? 'aboard');
          return cancel(delivery, 'as-it-loads');
        }),
      ),
    );
    const endings = new Set<string>();
    for (const [round, delivery] of deliveries.entries()) {
      await expectOneEnding(delivery, ['cancelled', 'delivered']);
      const answer = answers[round];
      const { status, charge } = await delivery.read();
      const said = typeof answer === 'object' ? (answer.reason ?? answer.outcome) : answer;
      endings.add(status);
      const { amount } = delivery.price;
      const race = await pickupRace(delivery);
      const events = (await delivery.events()).map((event) => event.type);
      // Three who were not asked together, and the money: all tell the same story.
      if (status === 'cancelled') {
        expect(['cancelled', 'aircraft_unreachable'], `round ${round}`).toContain(said);
        expect(race, `round ${round}`).toMatchObject({ loading: ['barred'], loadedBy: [], carriedBy: [] });
        expect(charge?.amount).toBe(Math.round(amount * 0.4));
        expect(events).not.toContain('delivery.picked_up');
      } else {
        expect(['already_picked_up', 'aircraft_unreachable'], `round ${round}`).toContain(said);
        const { droneIds } = delivery.scene;
        expect(race, `round ${round}`).toEqual({
          loading: ['loaded'],
          told: ['loaded'],
          loadedBy: droneIds,
          carriedBy: droneIds,
        });
        expect(charge?.amount).toBe(amount);
        expect(events).not.toContain('delivery.cancelled');
      }
    }
    // The first and the last round are certain.
    expect([...endings].sort()).toEqual(['cancelled', 'delivered']);
  }, 120_000);

  it('the end of the time to load: either it is cancelled, or the sender was absent', async () => {
    const loadingS = 30;
    const endings = await cancelledAround({
      event: 'delivery.arrived_at_pickup',
      endsAfterS: loadingS,
      order: async () => {
        const scene = await lab.prepare();
        for (const droneId of scene.droneIds) lab.pilot.arm(droneId, { failure: 'sender_absent' });
        return scene.order({ policy: { loadingS } });
      },
    });
    for (const { delivery, answer } of endings) {
      // A drone has come either way: both cost the fee.
      const amount = Math.round(delivery.price.amount * 0.4);
      await expectCancelledOrFailed(delivery, answer, { reason: 'sender_absent', amount });
      expect(await pickupRace(delivery)).toMatchObject({ loadedBy: [], carriedBy: [] });
    }
  }, 120_000);

  it('the end of the wait for a drone: either it is cancelled, or there was none', async () => {
    const awaitDroneS = 60;
    const endings = await cancelledAround({
      event: 'delivery.awaiting_drone',
      endsAfterS: awaitDroneS,
      order: async () => (await groundedScene()).order({ policy: { awaitDroneS } }),
    });
    for (const { delivery, answer } of endings) {
      await expectCancelledOrFailed(delivery, answer, { reason: 'no_drone_available', amount: 0 });
      expect(await pickupRace(delivery)).toMatchObject({ loadedBy: [], carriedBy: [] });
    }
  }, 120_000);

  it('a drone that becomes free', async () => {
    const scenes = await Promise.all(OFFSETS.map(() => groundedScene()));
    const deliveries = await Promise.all(scenes.map((scene) => scene.order()));
    await whileFlying(
      Promise.all(
        deliveries.map(async (delivery, round) => {
          await eventTime(delivery, 'delivery.awaiting_drone');
          const offset = OFFSETS[round] ?? 0;
          await Promise.all([
            delay(Math.max(0, -offset)).then(() => setState(delivery.scene, 'idle')),
            delay(Math.max(0, offset)).then(() => cancel(delivery, 'as-it-is-free')),
          ]);
        }),
      ),
    );
    for (const delivery of deliveries) await expectOneEnding(delivery, ['cancelled']);
  }, 120_000);

  it('any of the first steps', async () => {
    const scenes = await Promise.all(Array.from({ length: 2 * ROUNDS }, () => lab.prepare()));
    const deliveries = await Promise.all(scenes.map((scene) => scene.order()));
    await whileFlying(
      Promise.all(
        deliveries.map(async (delivery, round) => {
          await delay(round * 15);
          await cancel(delivery, 'early');
        }),
      ),
    );
    for (const delivery of deliveries) await expectOneEnding(delivery, ['cancelled']);
  }, 120_000);

  it('two others, one of them from the Temporal UI', async () => {
    const scenes = await Promise.all(OFFSETS.map(() => lab.prepare()));
    const deliveries = await Promise.all(scenes.map((scene) => scene.order()));
    // None of them has ended before everybody is answered.
    lab.faults.arm({ activity: 'voidPackages', how: 'down' });
    const answers = await whileFlying(
      Promise.all(
        deliveries.map(async (delivery) => {
          await eventTime(delivery, 'delivery.enroute_to_pickup');
          const [first, second] = await Promise.all([
            cancel(delivery, 'one'),
            cancel(delivery, 'two'),
            delivery.handle.cancel(),
          ]);
          return [first, second];
        }),
      ),
    );
    lab.faults.clear();
    expect(answers.flat()).toEqual(
      answers.flat().map(() => ({ outcome: 'cancelled', reason: null, detail: null })),
    );
    for (const delivery of deliveries) {
      await expectOneEnding(delivery, ['cancelled']);
      // Whoever was first, it is told who pressed the button.
      const pressed = (await delivery.events()).filter(
        (event) => event.data['by'] === `operator:${IDENTITY}`,
      );
      expect(pressed.map((event) => event.type)).toEqual([
        expect.stringMatching(/^delivery\.cancel(led|_requested)$/),
      ]);
    }
  }, 120_000);
});

describe('Cancel in the Temporal UI while an order waits', () => {
  const BY = { actor: { role: 'operator', id: 'jo' }, why: 'the test says so' } as const;
  const HELD_WHILE_ASKED = {
    activity: 'appendEvents',
    key: /event_intervention_opened/,
    how: 'down',
  } as const;

  /** Its drone is there when this returns, and does what the fault stops it from. */
  async function at(
    event: string,
    { failure, ...options }: DeliveryOptions & { failure?: ScriptedFailure } = {},
  ): Promise<LabDelivery> {
    const scene = await lab.prepare(options);
    for (const droneId of scene.droneIds) if (failure) lab.pilot.arm(droneId, failure);
    const delivery = await scene.order(options);
    await whileFlying(eventTime(delivery, `delivery.${event}`));
    return delivery;
  }

  /** The workflow has asked a person, and has not written that down. */
  async function asked(delivery: LabDelivery): Promise<string> {
    const open = async () => (await delivery.handle.query<DeliveryState>('state')).openInterventions;
    await lab.until('a person is asked', async () => (await open()).length > 0);
    const [interventionId] = await open();
    return interventionId ?? expect.unreachable();
  }

  const scheduled = () => at('scheduled', { pickup: { fromS: 36_000, toS: 40_000 } });

  const ORDERS: {
    order: string;
    /** What the delivery is stopped by while the order waits in it. */
    fault: Fault;
    make: () => Promise<{ delivery: LabDelivery; command: object }>;
    answer: object;
    /** The step whose drone may still be coming down at the end. */
    downBy?: string;
  }[] = [
    {
      order: 'cancel',
      fault: { activity: 'recallDrone', how: 'down' },
      make: async () => ({ delivery: await at('enroute_to_pickup'), command: CANCEL }),
      answer: { outcome: 'cancelled' },
    },
    {
      order: 'abort',
      fault: { activity: 'recallDrone', how: 'down' },
      make: async () => ({ delivery: await at('enroute_to_pickup'), command: BY }),
      answer: { outcome: 'cancelled' },
    },
    {
      order: 'abort',
      fault: { activity: 'returnToSender', how: 'down' },
      make: async () => ({ delivery: await at('enroute_to_dropoff'), command: BY }),
      answer: { outcome: 'returning' },
    },
    {
      order: 'reassignDrone',
      fault: { activity: 'recallDrone', how: 'down' },
      make: async () => ({ delivery: await at('enroute_to_pickup'), command: BY }),
      answer: { outcome: 'reassigning' },
    },
    {
      order: 'confirm',
      fault: { activity: 'lowerPackage', how: 'down' },
      make: async () => {
        const delivery = await at('arrived_at_dropoff', { confirmation: 'pin' });
        const { pin } = await delivery.recipient();
        await delivery.give({ pin });
        return { delivery, command: { actor: { role: 'recipient', id: 'test' } } };
      },
      answer: { outcome: 'accepted' },
    },
    {
      order: 'reschedule',
      fault: { activity: 'appendEvents', key: /event_rescheduled/, how: 'down' },
      make: async () => ({
        delivery: await scheduled(),
        command: { ...BY, pickupWindow: lab.windowIn({ fromS: 50_000, toS: 60_000 }) },
      }),
      answer: { outcome: 'rescheduled' },
    },
    {
      order: 'changeDropoff',
      fault: { activity: 'assessJob', how: 'down' },
      make: async () => {
        const delivery = await scheduled();
        return { delivery, command: { ...BY, dropoff: { location: delivery.dropoffAt(1_500) } } };
      },
      answer: { outcome: 'refused', reason: 'already_cancelled' },
    },
    {
      order: 'resolveIntervention',
      fault: HELD_WHILE_ASKED,
      make: async () => {
        const failure = { failure: 'motor_failure', stage: 'to_dropoff' } as const;
        const delivery = await at('enroute_to_dropoff', { failure });
        return { delivery, command: { ...BY, interventionId: await asked(delivery), answer: 'returned' } };
      },
      answer: { outcome: 'accepted' },
      // What a person says of the package does not bring its drone down: that is committed until it has landed.
      downBy: 'reserve/1',
    },
    {
      order: 'retryCompensation',
      fault: HELD_WHILE_ASKED,
      make: async () => {
        lab.faults.arm(
          { activity: 'reserveDrone', how: 'refuse', times: 1 },
          { activity: 'voidPackages', how: 'refuse', times: 1 },
        );
        const delivery = await lab.start();
        return { delivery, command: { ...BY, interventionId: await asked(delivery) } };
      },
      answer: { outcome: 'accepted' },
    },
  ];

  it.each(ORDERS)(
    'leaves it waiting, and it is answered: $order ($fault.activity)',
    async ({ order, fault, make, answer, downBy }) => {
      lab.faults.arm(fault);
      const { delivery, command } = await make();
      const { handle } = delivery;
      const waiting = await handle.startUpdate<unknown, [unknown]>(order, {
        args: [command],
        updateId: 'waiting',
        waitForStage: WorkflowUpdateStage.ACCEPTED,
      });
      await handle.cancel();
      await lab.until('the workflow has heard of it', async () =>
        hasTakenTheCancel(await handle.fetchHistory()),
      );
      lab.faults.clear();
      expect(await whileFlying(waiting.result())).toMatchObject(answer);
      await settleQuestions(delivery);
      await delivery.untilNothingHeld(
        downBy === undefined ? {} : { butFor: `reservation ${delivery.id}/${downBy} ` },
      );
    },
    120_000,
  );

  /** What is asked on the way is answered, until the delivery has come to its end. */
  const settleQuestions = (delivery: LabDelivery) =>
    lab.until(
      'it is complete',
      async () => {
        const { complete, interventions } = await delivery.read();
        if (complete) return true;
        const open = interventions.find((one) => one.resolved_at === null);
        const answer = open?.answers.find((one) =>
          ['carry_on', 'returned', 'done'].includes(one.answer),
        )?.answer;
        if (open && answer !== undefined) {
          const command = { ...BY, interventionId: open.id, answer };
          await whileFlying(
            lab.workflows.order(delivery.id, 'resolveIntervention', command, {
              updateId: open.id,
              timeoutMs: 20_000,
            }),
          );
        }
        return false;
      },
      { withinMs: WITHIN_MS },
    );

  /** A workflow task has been completed since it was asked for. */
  function hasTakenTheCancel({ events = [] }: History): boolean {
    const all = events ?? [];
    const asked = all.findIndex((event) => event.workflowExecutionCancelRequestedEventAttributes);
    return asked >= 0 && all.slice(asked).some((event) => event.workflowTaskCompletedEventAttributes);
  }
});

describe('a cancel during an attempt that is never heard of again', () => {
  /** So often a short step is tried within a workflow task, before it is one of Temporal's own activities. */
  const LOCAL_ATTEMPTS = 4;
  const steps = [
    { activity: 'authorize', failures: LOCAL_ATTEMPTS },
    { activity: 'registerPackages', failures: LOCAL_ATTEMPTS },
    { activity: 'reserveDrone', failures: 0 },
    { activity: 'dispatchDrone', failures: LOCAL_ATTEMPTS },
    { activity: 'bookCarrier', failures: 0 },
  ] as const;
  type Step = (typeof steps)[number];

  const callsOf = (delivery: LabDelivery, { activity }: Step) =>
    lab.faults.callsOf(delivery.id).filter((call) => call.activity === activity);

  async function hanging(step: Step, how: 'hang' | 'act_then_hang'): Promise<LabDelivery> {
    const { activity, failures } = step;
    const isCarried = activity === 'bookCarrier';
    const scene = await lab.prepare({
      drones: isCarried ? 0 : 1,
      account: { carrier: isCarried, carrierCapCents: 10_000 },
    });
    // One that has been sent does not load.
    for (const droneId of scene.droneIds) lab.pilot.arm(droneId, { failure: 'sender_absent' });
    if (failures > 0) lab.faults.arm({ activity, how: 'down', times: failures });
    lab.faults.arm({ activity, how, times: 1 });
    const delivery = await scene.order();
    await lab.until(`${activity} hangs`, () => callsOf(delivery, step).length === failures + 1);
    return delivery;
  }

  it.each(steps)(
    '$activity: is answered at once; what the attempt had done, or does when nobody waits for it any more, is undone',
    async (step) => {
      // One after the other: a fault is for the next call of its activity.
      const deliveries = [await hanging(step, 'hang'), await hanging(step, 'act_then_hang')];
      const answers = await whileFlying(
        Promise.all(deliveries.map((delivery) => cancel(delivery, 'while-it-hangs'))),
      );
      expect(answers).toEqual(deliveries.map(() => ({ outcome: 'cancelled', reason: null, detail: null })));
      for (const delivery of deliveries) {
        await lab.until('it is complete', async () => (await delivery.read()).complete);
        // Nobody has waited for the attempt; to Temporal it times out. It was the last one.
        expect(callsOf(delivery, step).map((call) => call.result)).toEqual(
          Array.from({ length: step.failures + 1 }, () => 'failed'),
        );
      }
      lab.faults.clear();
      for (const delivery of deliveries) {
        await lab.until('the service has heard of it', () => callsOf(delivery, step).at(-1)?.result === 'ok');
        await expectOneEnding(delivery, ['cancelled']);
      }
    },
    120_000,
  );
});

describe('a cancel while no worker is there', () => {
  it('is answered 503 and kept; once one is there it is done, once, and its repetition hears so', async () => {
    // A sender who is late: nothing else happens to it meanwhile.
    const door = await openFrontDoor(lab, { policy: { loadingS: 1_200 }, tuning: { cancelWaitMs: 1_000 } });
    try {
      const scene = await lab.prepare();
      for (const droneId of scene.droneIds) lab.pilot.arm(droneId, { failure: 'sender_absent' });
      const caller = await door.callerOf(scene);
      const delivery = await door.order(caller, scene);
      await delivery.untilStatus('arrived_at_pickup');
      const cancelAtTheDoor = () => caller.cancelDelivery({ params: { delivery_id: delivery.id }, body: {} });
      const updateId = `${delivery.id}/cancel/1`;

      await whileFlying(
        (async () => {
          await worker.stop();
          const problem = await cancelAtTheDoor().catch((error: unknown) => error);
          expect(problem).toMatchObject({ status: 503, slug: 'unavailable', retryAfterS: 2 });
          // What the port makes of it, for every kind of message.
          const options = { updateId: 'unanswered', timeoutMs: 500 };
          expect(
            await Promise.all([
              lab.workflows.cancel(delivery.id, CANCEL, { ...options, updateId }),
              lab.workflows.order(delivery.id, 'confirm', { actor: { role: 'recipient', id: 'x' } }, options),
            ]),
          ).toEqual(['no_answer', 'no_answer']);
          expect((await delivery.read()).status).toBe('arrived_at_pickup');

          worker = await lab.employ({});
          await eventTime(delivery, 'delivery.cancelled');
        })(),
      );
      await expectOneEnding(delivery, ['cancelled']);
      const ended = await cancelAtTheDoor();
      expect(ended).toMatchObject({ status: 'cancelled', cancellation: { outcome: 'cancelled' } });
      expect(ended.charge?.amount).toBe(Math.round(delivery.price.amount * 0.4));
      // Temporal gives the same id the same answer, also after the end; the history has it once.
      expect(await lab.workflows.cancel(delivery.id, CANCEL, { updateId, timeoutMs: 20_000 })).toEqual({
        outcome: 'cancelled',
        reason: null,
        detail: null,
      });
      const commands = commandsOf(await delivery.handle.fetchHistory());
      expect(commands.filter((one) => one === 'accept cancel')).toHaveLength(1);
    } finally {
      await door.close();
    }
  }, 120_000);
});

describe('the end of a time that came with what it was for, while no worker was there', () => {
  it('finds a compensation done that was done in time: nobody is asked', async () => {
    lab.faults.arm(
      { activity: 'reserveDrone', how: 'refuse' },
      { activity: 'voidPackages', how: 'down', times: 1 },
    );
    const delivery = await lab.start({ policy: { compensationStuckS: 4 * RATE } });
    await lab.until('it is being undone', () =>
      lab.faults.callsOf(delivery.id).some((call) => call.activity === 'voidPackages'),
    );
    await worker.stop();
    const hands = await lab.employ({ activitiesOnly: true });
    const has = async (isIt: (event: temporal.api.history.v1.IHistoryEvent) => unknown) =>
      ((await delivery.handle.fetchHistory()).events ?? []).some((event) => Boolean(isIt(event)));
    try {
      await lab.until('the time is over', () => has((event) => event.timerFiredEventAttributes));
      expect(
        lab.faults.callsOf(delivery.id).filter((call) => call.activity === 'voidPackages'),
      ).toMatchObject([{ result: 'failed' }, { result: 'ok' }]);
    } finally {
      await hands.stop();
      worker = await lab.employ({});
    }
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'failed', compensation: 'complete', interventions: [] });
    expect((await delivery.events()).at(-1)?.type).toBe('delivery.compensation_complete');
    await delivery.untilNothingHeld();
  }, 120_000);
});

describe('a flight back of which everything came while no worker was there', () => {
  // Authorized within the task that is lost, it may not be authorized in time when that is done again: nothing is charged by then.
  it('is charged only once its authorization is in the history', async () => {
    const scene = await lab.prepare();
    for (const droneId of scene.droneIds) lab.pilot.arm(droneId, { failure: 'dropoff_blocked' });
    const delivery = await scene.order();
    await delivery.untilStatus('enroute_to_dropoff');
    await worker.stop();
    try {
      await lab.until('the package is back', async () => {
        const { data } = await lab.clients.drone.listReservations({ query: { delivery_id: delivery.id } });
        return data.every(({ state }) => state === 'ended');
      });
    } finally {
      worker = await lab.employ({});
    }
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({
      status: 'returned',
      charge: { amount: delivery.price.amount + (ended.return_price?.amount ?? 0) },
    });
    expect(ended.return_price?.amount).toBeGreaterThan(0);
    await delivery.untilNothingHeld();
    const tasks = toldInShort(await delivery.handle.fetchHistory()).split('¶');
    const taskOf = (step: RegExp) => tasks.findLastIndex((task) => step.test(task));
    const authorized = taskOf(/marker core_local_activity authorize/);
    expect(authorized).toBeGreaterThan(1);
    expect(tasks[authorized]).toMatch(/marker core_local_activity authorize.*, activity appendEvents/);
    expect(tasks.findIndex((task) => /marker core_local_activity capture/.test(task))).toBeGreaterThan(
      authorized,
    );
  }, 120_000);
});

describe('a step that is cut short while an event is written', () => {
  it('leaves a history that every worker can take up again', async () => {
    const held = [
      { activity: 'releaseDrone', how: 'down' },
      { activity: 'voidAuthorization', how: 'down' },
    ] as const;
    const opening = { activity: 'appendEvents', key: /intervention_opened/, how: 'down' } as const;
    lab.faults.arm({ activity: 'reserveDrone', how: 'act_then_refuse' }, ...held, opening);
    const delivery = await lab.start({ policy: { compensationStuckS: RATE } });
    const isCalled = (activity: string) =>
      lab.faults.callsOf(delivery.id).some((call) => call.activity === activity);
    const isOpened = () =>
      lab.faults.callsOf(delivery.id).some((call) => opening.key.test(call.key) && call.result === 'ok');
    // It has heard that the packages are void, or it would not be at the money. That is written once it is written that a person is
    // asked about the drone.
    await lab.until('it is at the money', () => isCalled('voidAuthorization'));
    const interventionId = interventionIdOf(delivery.id, 'release_drone_1');
    await worker.stop();
    lab.faults.clear();
    lab.faults.arm(...held);
    const hands = await lab.employ({ activitiesOnly: true });
    let answering: Promise<unknown>;
    try {
      await lab.until('a person is asked', isOpened);
      // The turn that goes on to write it takes the answer too, which cuts short what is still being tried.
      answering = delivery.handle.executeUpdate('resolveIntervention', {
        args: [{ interventionId, answer: 'retry', actor: { role: 'operator', id: 'test' }, why: 'again' }],
        updateId: 'again',
      });
      await lab.until('the answer is with the server', () => hasUpdate(delivery, 'again'));
    } finally {
      await hands.stop();
      worker = await lab.employ({});
    }
    await answering;
    lab.faults.clear();
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'failed', compensation: 'complete' });
    await delivery.untilNothingHeld();
    expect(turnThatAccepts('resolveIntervention', await delivery.handle.fetchHistory())).toEqual(
      expect.arrayContaining(['cancel activity', 'marker core_local_activity appendEvents']),
    );
    expect([...(await lab.replay(delivery)).values()]).toEqual([undefined]);
  }, 120_000);
});

describe('a short step that outlives its workflow task', () => {
  it('is cut short by what comes meanwhile, and leaves a history that every worker can take up again', async () => {
    lab.faults.arm({ activity: 'authorize', how: 'act_then_hang', times: 1 });
    const delivery = await lab.start({ taskTimeoutMs: 2_000 });
    await lab.until('it is being authorized', () => lab.faults.isHanging(delivery.id));
    await delivery.handle.cancel();
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'cancelled', compensation: 'complete' });
    await delivery.untilNothingHeld();
    // The cancel came with the next task, and the step's end in a turn after it; on replay both come in one. The first task has commanded
    // something, or it would count as one with the next.
    const [, first, second] = toldInShort(await delivery.handle.fetchHistory()).split('¶');
    expect(first).toMatch(/→ .*timer, cancel $/);
    expect(second).toMatch(/marker core_local_activity authorize, .*cancel timer/);
    expect([...(await lab.replay(delivery)).values()]).toEqual([undefined]);
  }, 120_000);
});

/** The server has heard of the update, and no worker has taken it yet. */
async function hasUpdate({ id: workflowId }: LabDelivery, updateId: string): Promise<boolean> {
  const { workflowService, options } = lab.temporal;
  try {
    const updateRef = { workflowExecution: { workflowId }, updateId };
    await workflowService.pollWorkflowExecutionUpdate({ namespace: options.namespace, updateRef });
    return true;
  } catch (error) {
    if (error instanceof Error && error.message.startsWith('5 NOT_FOUND')) return false;
    throw error;
  }
}

/** All that is commanded by the workflow task in which an update is accepted. */
function turnThatAccepts(update: string, { events = [] }: History): string[] {
  const isTask = (event: temporal.api.history.v1.IHistoryEvent) =>
    Boolean(event.workflowTaskCompletedEventAttributes);
  const all = events ?? [];
  const accepted = all.findIndex(
    (event) => event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest?.input?.name === update,
  );
  const from = all.findLastIndex((event, index) => index < accepted && isTask(event));
  const to = all.findIndex((event, index) => index > accepted && isTask(event));
  return commandsOf({ events: all.slice(from, to) });
}

async function eventTime(delivery: LabDelivery, type: string): Promise<number> {
  for (;;) {
    const event = (await delivery.events()).find((one) => one.type === type);
    if (event) return Date.parse(event.occurred_at);
    await delay(25);
  }
}

async function untilLoading(
  { id, scene: { droneIds } }: LabDelivery,
  when: (typeof AFTER_LOADING_BEGAN_MS)[number],
): Promise<void> {
  const [droneId] = droneIds;
  if (!droneId) throw new Error('no drone');
  for (;;) {
    const { activity, since } = lab.pilot.look(droneId);
    if (when === 'on_its_way' && activity.kind === 'flying') return;
    if (when === 'aboard' && lab.pilot.carriersOf(id).length > 0) return;
    if (typeof when === 'number' && activity.kind === 'loading') return untilWall(since.atMs, when);
    await delay(5);
  }
}

/** A scene whose only drone is in the workshop. */
async function groundedScene(): Promise<Scene> {
  const scene = await lab.prepare();
  await setState(scene, 'maintenance');
  return scene;
}

async function setState(scene: Scene, state: 'idle' | 'maintenance'): Promise<void> {
  for (const droneId of scene.droneIds) {
    await lab.clients.drone.setDroneState({
      params: { drone_id: droneId },
      body: { state, reason: 'inspection', by: 'test' },
    });
  }
}

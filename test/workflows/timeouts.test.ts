/**
 * A service that never answers: the attempt times out, and the step is repeated under its key, or undone. On the real Temporal server,
 * whose own timers end the attempts. (A cancel during such an attempt is in `races.test.ts`, a sweep that stops beating in
 * `reconcile.test.ts`.)
 */
import { temporal } from '@temporalio/proto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { commandsOf } from '../replay/commands.ts';
import { editedBundle } from '../replay/edited-bundle.ts';
import type { History } from '../replay/histories.ts';
import type { ActivityName, Call } from './faults.ts';
import { Lab } from './lab.ts';
import type { LabDelivery } from './lab-delivery.ts';
import type { DeliveryOptions } from './scene.ts';

const RATE = 30;
/** Flown in a second or two. */
const NEAR: DeliveryOptions = { toPickupM: 100, toDropoffM: 200 };
/** Of one attempt of a plain step; as it is in the workflow it would be most of the time that these tests take. */
const ATTEMPT = { find: "startToCloseTimeout: '20s'", replace: "startToCloseTimeout: '4s'" };

let lab: Lab;
beforeAll(async () => {
  const bundle = await editedBundle([{ file: 'delivery/steps.ts', ...ATTEMPT }]);
  lab = await Lab.open({ realTimeAtRate: RATE, build: { bundle } });
}, 120_000);
afterEach(() => lab.rest());
afterAll(() => lab.close());

const { TIMEOUT_TYPE_START_TO_CLOSE: START_TO_CLOSE, TIMEOUT_TYPE_SCHEDULE_TO_CLOSE: SCHEDULE_TO_CLOSE } =
  temporal.api.enums.v1.TimeoutType;

const callsOf = (delivery: LabDelivery, activity: ActivityName): Call[] =>
  lab.faults.callsOf(delivery.id).filter((call) => call.activity === activity);
const keysOf = (calls: readonly Call[]) => [...new Set(calls.map((call) => call.key))];

/** Which of its times were over, by the history: of attempts that were repeated, and of those that were the last. */
function timeoutsOf(activity: ActivityName, { events }: History): unknown[] {
  const all = events ?? [];
  const isOfIt = (scheduledId: unknown) =>
    all.some(
      ({ eventId, activityTaskScheduledEventAttributes: scheduled }) =>
        String(eventId) === String(scheduledId) && scheduled?.activityType?.name === activity,
    );
  return all.flatMap((event) => {
    const { activityTaskStartedEventAttributes: started, activityTaskTimedOutEventAttributes: over } = event;
    const isMarked = commandsOf({ events: [event] }).includes(`marker core_local_activity ${activity}`);
    const failure = isMarked
      ? event.markerRecordedEventAttributes?.failure
      : isOfIt(started?.scheduledEventId)
        ? started?.lastFailure
        : isOfIt(over?.scheduledEventId)
          ? over?.failure
          : undefined;
    const timeout = failure?.timeoutFailureInfo ?? failure?.cause?.timeoutFailureInfo;
    return timeout ? [timeout.timeoutType] : [];
  });
}

const timedOut = async (delivery: LabDelivery, activity: ActivityName) =>
  timeoutsOf(activity, await delivery.handle.fetchHistory());

/** Its service never answers until an attempt of the plain step has timed out and another one waits; then it answers all. */
async function hangsTwice(delivery: LabDelivery, activity: ActivityName): Promise<void> {
  await lab.until(`${activity} is tried again`, () => {
    const attempts = callsOf(delivery, activity).filter((call) => !call.isLocal);
    return attempts.length >= 2;
  });
  lab.faults.clear();
}

describe('a step whose service never answers', () => {
  it.each(['authorize', 'dispatchDrone', 'capture'] as const)(
    'within the workflow task is given up, and tried beside it until it is done, once: %s',
    async (activity) => {
      lab.faults.arm({ activity, how: 'act_then_hang' });
      const delivery = await lab.start(NEAR);
      await hangsTwice(delivery, activity);
      const { delivery: ended, outcome } = await delivery.untilComplete();

      expect(outcome).toMatchObject({ status: 'delivered', attempts: 1, compensation: 'none' });
      expect(ended).toMatchObject({ charge: delivery.price, interventions: [] });
      const calls = callsOf(delivery, activity);
      expect(keysOf(calls)).toHaveLength(1);
      expect(calls[0]).toMatchObject({ isLocal: true, result: 'failed' });
      // All the time of a short step, and then one attempt of the plain one.
      expect(await timedOut(delivery, activity)).toEqual([SCHEDULE_TO_CLOSE, START_TO_CLOSE]);
      await expectDoneOnce(delivery);
    },
  );

  it('and that is no short one is tried again under its key: one drone is reserved, and flies', async () => {
    lab.faults.arm({ activity: 'reserveDrone', how: 'act_then_hang' });
    // With a window its reservation lasts for minutes: without one it may be over before a busy machine has come to the dispatch.
    const delivery = await lab.start({ ...NEAR, drones: 2, pickup: { fromS: 60, toS: 3_600 } });
    await hangsTwice(delivery, 'reserveDrone');
    const { outcome } = await delivery.untilComplete();

    expect(outcome).toMatchObject({ status: 'delivered', attempts: 1, compensation: 'none' });
    expect(keysOf(callsOf(delivery, 'reserveDrone'))).toHaveLength(1);
    expect(await timedOut(delivery, 'reserveDrone')).toEqual([START_TO_CLOSE]);
    await expectDoneOnce(delivery);
  });

  it('and then refuses is undone, though nobody has heard that it was done', async () => {
    lab.faults.arm(
      { activity: 'reserveDrone', how: 'act_then_hang', times: 1 },
      { activity: 'reserveDrone', how: 'refuse', times: 1 },
    );
    const delivery = await lab.start();
    const { delivery: ended, outcome } = await delivery.untilComplete();

    expect(outcome).toMatchObject({ status: 'failed', reason: 'step_failed', compensation: 'complete' });
    expect(ended).toMatchObject({ charge: { amount: 0 }, interventions: [] });
    expect(await timedOut(delivery, 'reserveDrone')).toEqual([START_TO_CLOSE]);
    const { data } = await lab.clients.drone.listReservations({ query: { delivery_id: delivery.id } });
    expect(data.map((one) => one.state)).toEqual(['released']);
    await delivery.untilNothingHeld();
  });
});

describe('a compensation whose service never answers', () => {
  /** Wall milliseconds: less than an attempt may take. */
  const STUCK_MS = 2_000;
  const STUCK: DeliveryOptions = { policy: { compensationStuckS: (STUCK_MS / 1_000) * RATE } };

  it('is tried again when its attempt has timed out; the person who was asked meanwhile needs not answer', async () => {
    lab.faults.arm(
      { activity: 'reserveDrone', how: 'act_then_refuse', times: 1 },
      { activity: 'releaseDrone', how: 'hang' },
    );
    const delivery = await lab.start(STUCK);
    await lab.until('a person is asked', async () => (await delivery.read()).interventions.length === 1);
    expect(await delivery.read()).toMatchObject({ compensation: 'needs_intervention', complete: false });
    await lab.until('the others have gone on without it', async () => {
      const [first, ...others] = await delivery.held();
      return first?.startsWith('reservation ') === true && others.length === 0;
    });
    await hangsTwice(delivery, 'releaseDrone');
    const { delivery: ended, outcome } = await delivery.untilComplete();

    expect(outcome).toMatchObject({ status: 'failed', reason: 'step_failed', compensation: 'complete' });
    expect(ended.interventions.every((one) => one.resolved_at !== null)).toBe(true);
    expect(keysOf(callsOf(delivery, 'releaseDrone'))).toHaveLength(1);
    expect(await timedOut(delivery, 'releaseDrone')).toEqual([START_TO_CLOSE]);
    await delivery.untilNothingHeld();
  });
});

describe('a look for who has pressed Cancel that never answers', () => {
  it('is given up after seconds, and is repeated meanwhile; the cancel is by the Temporal UI', async () => {
    lab.faults.arm({ activity: 'readCancelRequest', how: 'hang' });
    const delivery = await lab.start();
    await delivery.untilStatus('enroute_to_pickup');
    await delivery.handle.cancel();
    const { outcome } = await delivery.untilComplete();

    expect(outcome).toMatchObject({ status: 'cancelled', reason: 'requested_by_operator' });
    const events = await delivery.events();
    const [cancelled] = events.filter((event) => event.type === 'delivery.cancelled');
    expect(cancelled?.data).toMatchObject({ by: 'operator:temporal-ui' });
    expect(callsOf(delivery, 'readCancelRequest').length).toBeGreaterThan(1);
    expect(await timedOut(delivery, 'readCancelRequest')).toContain(SCHEDULE_TO_CLOSE);
    await delivery.untilNothingHeld();
  });
});

/** However often it was tried: one authorization, one reservation, and nothing left of either. */
async function expectDoneOnce(delivery: LabDelivery): Promise<void> {
  const query = { delivery_id: delivery.id };
  const [authorizations, reservations] = await Promise.all([
    lab.clients.account.listAuthorizations({ query }),
    lab.clients.drone.listReservations({ query }),
  ]);
  expect(authorizations.data).toHaveLength(1);
  expect(authorizations.data).toMatchObject([{ captured: delivery.price }]);
  expect(reservations.data).toHaveLength(1);
  expect(lab.pilot.carriersOf(delivery.id)).toHaveLength(1);
  await delivery.untilNothingHeld();
}

/** Who has pressed *Cancel* in the Temporal UI, or used its CLI, and why, is in the delivery's timeline. In virtual time. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { DeliveryStatus } from '../../services/delivery/contract/index.ts';
import { Lab } from './lab.ts';
import type { LabDelivery } from './lab-delivery.ts';
import type { DeliveryOptions } from './scene.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.shared();
});
afterEach(() => lab.rest());
afterAll(() => lab.close());

const JO = { identity: 'jo@laptop', reason: 'the sender called' };
const BY_JO = { by: 'operator:jo@laptop', why: 'the sender called' };

/** What the UI and the CLI send; the UI says who only when it knows, and never why. */
async function press({ id: workflowId }: LabDelivery, { identity = '', reason = '' } = {}): Promise<void> {
  const { workflowService, options } = lab.temporal;
  const { namespace } = options;
  const workflowExecution = { workflowId };
  await workflowService.requestCancelWorkflowExecution({ namespace, workflowExecution, identity, reason });
}

async function at(status: DeliveryStatus, options: DeliveryOptions = {}): Promise<LabDelivery> {
  const delivery = await lab.start(options);
  await delivery.untilStatus(status);
  return delivery;
}

const dataOf = async (delivery: LabDelivery, type: string) =>
  (await delivery.events()).filter((event) => event.type === `delivery.${type}`).map((event) => event.data);

async function untilCancelled(delivery: LabDelivery): Promise<void> {
  lab.watch(delivery);
  const { outcome } = await delivery.untilComplete();
  expect(outcome).toMatchObject({ status: 'cancelled', reason: 'requested_by_operator' });
  await delivery.untilNothingHeld();
}

describe('Cancel in the Temporal UI', () => {
  it('is a cancel by whoever has pressed it, for their reason', async () => {
    const delivery = await at('enroute_to_pickup');
    await press(delivery, JO);
    await untilCancelled(delivery);
    expect(await dataOf(delivery, 'cancelled')).toEqual([BY_JO]);
    expect(await dataOf(delivery, 'cancel_requested')).toEqual([]);
  });

  it.each([
    { who: 'nobody in particular', given: {}, by: 'operator:temporal-ui', why: 'Cancel in the Temporal UI' },
    { who: 'blanks', given: { identity: ' ', reason: ' ' }, by: 'operator:temporal-ui' },
    { who: 'a name among blanks', given: { identity: ' jo ' }, by: 'operator:jo' },
    { who: 'a long one', given: { identity: 'x'.repeat(5_000) }, by: `operator:${'x'.repeat(100)}` },
    { who: 'a long reason', given: { reason: 'y'.repeat(5_000) }, why: 'y'.repeat(500) },
  ])('by $who', async ({ given, by, why }) => {
    const delivery = await at('enroute_to_pickup');
    await press(delivery, given);
    await untilCancelled(delivery);
    expect((await dataOf(delivery, 'cancelled'))[0]).toMatchObject({
      ...(by !== undefined && { by }),
      ...(why !== undefined && { why }),
    });
  });

  it.each(['refuse', 'down'] as const)(
    'waits for nobody who cannot say who it was: it is by the UI then (%s)',
    async (how) => {
      const delivery = await at('enroute_to_pickup');
      lab.faults.arm({ activity: 'readCancelRequest', how });
      const pressedMs = lab.nowMs;
      await press(delivery, JO);
      await untilCancelled(delivery);
      expect(await dataOf(delivery, 'cancelled')).toMatchObject([{ by: 'operator:temporal-ui' }]);
      const cancelled = (await delivery.events()).find((event) => event.type === 'delivery.cancelled');
      expect(Date.parse(cancelled?.occurred_at ?? '') - pressedMs).toBeLessThan(20_000);
    },
  );

  it('with the package aboard asks what they meant, and says who they are', async () => {
    const delivery = await at('enroute_to_dropoff');
    await press(delivery, JO);
    lab.watch(delivery);
    await lab.until('a person is asked', async () => (await delivery.read()).interventions.length === 1);
    expect((await delivery.read()).interventions[0]?.reason).toBe(
      'The workflow was cancelled by operator:jo@laptop (the sender called) with the package aboard the drone. The delivery goes on meanwhile.',
    );
    expect((await delivery.untilComplete()).outcome.status).toBe('delivered');
    expect(await dataOf(delivery, 'intervention_opened')).toEqual([{ kind: 'cancel_requested', ...BY_JO }]);
    expect(await dataOf(delivery, 'cancel_requested')).toEqual([]);
  });

  it('while it is being returned is noted', async () => {
    const scene = await lab.prepare();
    for (const droneId of scene.droneIds) lab.pilot.arm(droneId, { failure: 'dropoff_blocked' });
    const delivery = await scene.order();
    await delivery.untilStatus('enroute_to_return');
    await press(delivery, JO);
    lab.watch(delivery);
    await delivery.untilComplete();
    expect(await dataOf(delivery, 'cancel_requested')).toEqual([
      { by: BY_JO.by, why: 'the sender called; it is being returned already' },
    ]);
  });

  it('after another cancel is noted beside that', async () => {
    const delivery = await at('enroute_to_pickup');
    lab.faults.arm({ activity: 'recallDrone', how: 'down', times: 3 });
    const asking = delivery.askToCancel();
    await lab.until('it is being recalled', () =>
      lab.faults.callsOf(delivery.id).some((call) => call.activity === 'recallDrone'),
    );
    await press(delivery, JO);
    lab.watch(delivery);
    expect(await lab.untilSettled('it is answered', asking)).toMatchObject({ outcome: 'cancelled' });
    await delivery.untilComplete();
    expect(await dataOf(delivery, 'cancelled')).toMatchObject([
      { by: `business:${delivery.scene.accountId}` },
    ]);
    expect(await dataOf(delivery, 'cancel_requested')).toEqual([
      { ...BY_JO, outcome: 'cancelled', reason: null },
    ]);
  });

  describe('while the drone loads', () => {
    /** `offlineS`: nobody hears it for so long, seconds. */
    async function whileLoading({ offlineS }: { offlineS?: number } = {}): Promise<LabDelivery> {
      const scene = await lab.prepare();
      const [droneId] = scene.droneIds;
      if (droneId === undefined) return expect.unreachable();
      if (offlineS !== undefined)
        lab.pilot.arm(droneId, { failure: 'lost_link', stage: 'at_pickup', at: 0.2, forS: offlineS });
      const delivery = await scene.order({ toPickupM: 200 });
      await lab.until('the drone is loading', () => {
        const { activity, linkLostUntilMs } = lab.pilot.look(droneId);
        return activity.kind === 'loading' && (offlineS === undefined || linkLostUntilMs !== null);
      });
      return delivery;
    }

    it('is told once, by the cancellation that the aircraft’s word settles', async () => {
      const delivery = await whileLoading();
      await press(delivery, JO);
      await untilCancelled(delivery);
      expect(await dataOf(delivery, 'cancelled')).toEqual([BY_JO]);
      expect(await dataOf(delivery, 'cancel_requested')).toEqual([]);
    });

    it('beside another cancel, is noted with what the aircraft’s word makes of both', async () => {
      const delivery = await whileLoading({ offlineS: 15 });
      expect(await delivery.cancel()).toMatchObject({ outcome: 'pending' });
      await press(delivery, JO);
      lab.watch(delivery);
      expect((await delivery.untilComplete()).outcome.status).toBe('cancelled');
      expect(await dataOf(delivery, 'cancelled')).toMatchObject([
        { by: `business:${delivery.scene.accountId}` },
      ]);
      expect(await dataOf(delivery, 'cancel_requested')).toEqual([
        { ...BY_JO, outcome: 'cancelled', reason: null },
      ]);
    });

    it('of one that turns out to be loaded, is told once, by the question', async () => {
      const delivery = await whileLoading({ offlineS: 100 });
      const [droneId] = delivery.scene.droneIds;
      if (droneId === undefined) return expect.unreachable();
      await lab.until('it is aboard', () => lab.pilot.look(droneId).payloadKg > 0);
      await press(delivery, JO);
      lab.watch(delivery);
      expect((await delivery.untilComplete()).outcome.status).toBe('delivered');
      expect(await dataOf(delivery, 'intervention_opened')).toEqual([{ kind: 'cancel_requested', ...BY_JO }]);
      expect(await dataOf(delivery, 'cancel_requested')).toEqual([]);
    });
  });

  it('with the package aboard, which is handed over before anybody can be asked, is noted', async () => {
    const delivery = await at('enroute_to_dropoff');
    lab.faults.arm({ activity: 'appendEvents', how: 'down', key: /event_arrived_at_dropoff/ });
    const [droneId] = delivery.scene.droneIds;
    if (droneId === undefined) return expect.unreachable();
    await lab.until('it is handed over', () => lab.pilot.look(droneId).payloadKg === 0);
    await press(delivery, JO);
    lab.watch(delivery);
    await lab.settle();
    lab.faults.clear();
    expect((await delivery.untilComplete()).outcome.status).toBe('delivered');
    expect(await dataOf(delivery, 'cancel_requested')).toEqual([
      { ...BY_JO, outcome: 'refused', reason: 'already_delivered' },
    ]);
    expect(await dataOf(delivery, 'intervention_opened')).toEqual([]);
  });

  it('of a delivery that has ended, and compensates, is noted before the workflow ends', async () => {
    lab.faults.arm(
      { activity: 'reserveDrone', how: 'refuse' },
      { activity: 'voidPackages', how: 'refuse', times: 1 },
    );
    const delivery = await lab.start();
    await lab.until('a person is asked', async () => (await delivery.read()).interventions.length === 1);
    const [intervention] = (await delivery.read()).interventions;
    lab.faults.arm({ activity: 'readCancelRequest', how: 'down', times: 2 });
    await press(delivery, JO);
    await delivery.order('retryCompensation', {
      interventionId: intervention?.id ?? '',
      why: 'it is up again',
      actor: { role: 'operator', id: 'kim' },
    });
    await delivery.untilComplete();
    expect(await dataOf(delivery, 'cancel_requested')).toEqual([
      { ...BY_JO, outcome: 'refused', reason: 'already_failed' },
    ]);
  });
});

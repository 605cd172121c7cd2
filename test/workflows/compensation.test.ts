/** Nothing is left half done: each step fails for good or loses its answer, each compensation fails. In virtual time. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ActivityName } from './faults.ts';
import { Lab, type LabDelivery } from './lab.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterEach(() => lab.rest());
afterAll(() => lab.close());

/** The steps before the package is aboard, in order: a failure for good of any of them ends the delivery. */
const STEPS: ActivityName[] = ['authorize', 'registerPackages', 'reserveDrone', 'dispatchDrone'];

describe('when a step fails for good', () => {
  it.each(STEPS.flatMap((step) => (['refuse', 'act_then_refuse'] as const).map((how) => ({ step, how }))))(
    '$step ($how): the delivery fails and what was done is undone',
    async ({ step, how }) => {
      lab.faults.arm({ activity: step, how });
      const delivery = await lab.start();
      const { outcome, delivery: ended } = await delivery.untilComplete();
      expect(outcome).toMatchObject({ status: 'failed', reason: 'step_failed', compensation: 'complete' });
      expect(ended.failure_detail).toContain(step);
      expect(ended.charge).toEqual({ amount: 0, currency: 'USD' });
      await delivery.untilNothingHeld();
      await expectFreeDrones(delivery);
    },
  );

  it('appendEvents: the record of a step that cannot be written ends it too', async () => {
    lab.faults.arm({ activity: 'appendEvents', how: 'refuse', times: 1 });
    const delivery = await lab.start();
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'failed', reason: 'step_failed' });
    await delivery.untilNothingHeld();
  });

  it('capture: the package is there, and the money becomes a person’s to settle', async () => {
    lab.faults.arm({ activity: 'capture', how: 'refuse' });
    const delivery = await lab.start();
    await lab.until(
      'an intervention is open',
      async () => (await delivery.read()).interventions.length === 1,
    );
    const { status, interventions } = await delivery.read();
    expect(status).toBe('delivered');
    lab.faults.clear();
    await answer(delivery, interventions[0]?.id ?? '', 'retry');
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended.charge).toEqual(delivery.price);
    await delivery.untilNothingHeld();
  });
});

describe('when a step’s answer is lost', () => {
  const all: ActivityName[] = [...STEPS, 'appendEvents', 'capture'];
  it.each(all)('%s: it is repeated with the same key and happens once', async (step) => {
    lab.faults.arm({ activity: step, how: 'lose_answer', times: 1 });
    const delivery = await lab.start();
    const { outcome, delivery: ended } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: 1 });
    expect(ended.charge).toEqual(delivery.price);
    const keys = lab.faults.callsOf(delivery.id).filter((call) => call.activity === step);
    expect(keys.length).toBeGreaterThan(new Set(keys.map((call) => call.key)).size);
    const events = await delivery.events();
    expect(new Set(events.map((event) => event.type)).size).toBe(events.length);
    await delivery.untilNothingHeld();
  });
});

describe('when a service is down for a while', () => {
  const steps: ActivityName[] = [...STEPS, 'appendEvents', 'capture'];
  it.each(steps)('%s: the short step becomes a durable one and the delivery goes on', async (step) => {
    lab.faults.arm({ activity: step, how: 'down', times: 8 });
    const delivery = await lab.start();
    const { outcome } = await delivery.untilComplete();
    expect(outcome.status).toBe('delivered');
    await delivery.untilNothingHeld();
  });
});

/** Every compensation, with what makes the delivery need it. */
const COMPENSATIONS: { compensation: ActivityName; name: string; cause: ActivityName }[] = [
  { compensation: 'voidAuthorization', name: 'void_authorization', cause: 'registerPackages' },
  { compensation: 'voidPackages', name: 'void_packages', cause: 'reserveDrone' },
  { compensation: 'releaseDrone', name: 'release_drone/1', cause: 'dispatchDrone' },
  { compensation: 'recallDrone', name: 'recall_drone/1', cause: 'dispatchDrone' },
];

describe('when a compensation fails', () => {
  it.each(COMPENSATIONS)(
    '$compensation: three times, then works: nothing is left',
    async ({ compensation, cause }) => {
      lab.faults.arm(
        { activity: cause, how: 'act_then_refuse' },
        { activity: compensation, how: 'down', times: 3 },
      );
      const delivery = await lab.start();
      const { outcome } = await delivery.untilComplete();
      expect(outcome).toMatchObject({ status: 'failed', compensation: 'complete' });
      await delivery.untilNothingHeld();
    },
  );

  it.each(COMPENSATIONS)(
    '$compensation: for good: the others go on, and an intervention says what is left until a person has it retried',
    async ({ compensation, name, cause }) => {
      lab.faults.arm({ activity: cause, how: 'act_then_refuse' }, { activity: compensation, how: 'refuse' });
      const delivery = await lab.start();
      await lab.until(
        'the others have gone on, and a person is asked',
        async () =>
          (await undone(delivery)) === expectedOthers(cause) &&
          (await delivery.read()).interventions.length === 1,
      );
      const { compensation: state, interventions, complete } = await delivery.read();
      expect(complete).toBe(false);
      expect(state).toBe('needs_intervention');
      expect(interventions.map((one) => one.kind)).toEqual([`compensation:${name}`]);

      lab.faults.clear();
      await answer(delivery, interventions[0]?.id ?? '', 'retry');
      const { outcome } = await delivery.untilComplete();
      expect(outcome.compensation).toBe('complete');
      expect((await delivery.read()).interventions.every((one) => one.resolved_at !== null)).toBe(true);
      await delivery.untilNothingHeld();
    },
  );

  it('hanging: becomes an intervention in time, and can be closed as done by hand', async () => {
    lab.faults.arm({ activity: 'reserveDrone', how: 'refuse' }, { activity: 'voidPackages', how: 'down' });
    const delivery = await lab.start();
    await lab.until(
      'an intervention is open',
      async () => (await delivery.read()).interventions.length === 1,
    );
    const [intervention] = (await delivery.read()).interventions;
    await answer(delivery, intervention?.id ?? '', 'done');
    const { outcome } = await delivery.untilComplete();
    expect(outcome.compensation).toBe('complete');
    const events = await delivery.events();
    expect(events.find((event) => event.data['outcome'] === 'closed_by_hand')?.data['step']).toBe(
      'void_packages',
    );
    // Ten minutes of attempts, each of them real.
  }, 120_000);

  async function undone(delivery: LabDelivery): Promise<number> {
    return (await delivery.events()).filter((event) => event.type === 'delivery.compensated').length;
  }

  /** How many compensations there are but the failing one. */
  function expectedOthers(cause: ActivityName): number {
    return STEPS.indexOf(cause) + 1 - 1;
  }
});

async function answer(delivery: LabDelivery, interventionId: string, choice: string): Promise<void> {
  await delivery.handle.executeUpdate('resolveIntervention', {
    args: [
      { interventionId, answer: choice, why: 'the test says so', actor: { role: 'operator', id: 'test' } },
    ],
  });
}

/** Once home, its drones can be taken by the next delivery. */
async function expectFreeDrones(delivery: LabDelivery): Promise<void> {
  await lab.until('the drones are free again', async () => {
    const drones = await Promise.all(
      delivery.scene.droneIds.map((droneId) => lab.clients.drone.getDrone({ params: { drone_id: droneId } })),
    );
    return drones.every((drone) => drone.state === 'idle');
  });
}

describe('when a drone is still held after what should give it back', () => {
  /** It fails for good as its drone arrives, and the recall reaches the drone service when the drone has come so far. */
  async function recalledWhen(loading: 'granted' | 'loaded'): Promise<LabDelivery> {
    const scene = await lab.prepare();
    const [droneId] = scene.droneIds;
    if (droneId === undefined) throw new Error('no drone');
    // While it is not heard, it does not say whether it has loaded.
    if (loading === 'granted') {
      lab.pilot.arm(droneId, { failure: 'lost_link', stage: 'at_pickup', at: 0.5, forS: 50 });
    }
    lab.faults.arm(
      { activity: 'appendEvents', how: 'refuse', key: /event_arrived_at_pickup/, times: 1 },
      { activity: 'recallDrone', how: 'hang' },
    );
    const delivery = await scene.order();
    await lab.until(`the drone is ${loading}`, async () => {
      const { data } = await lab.clients.drone.listReservations({ query: { delivery_id: delivery.id } });
      return data[0]?.loading === loading;
    });
    lab.faults.clear();
    return delivery;
  }
  const outcomesOf = async (delivery: LabDelivery, step: string) =>
    (await delivery.events())
      .filter((one) => one.type === 'delivery.compensated' && one.data['step'] === step)
      .map((one) => one.data['outcome']);

  it('a recall that waits for the aircraft’s word is asked again until it has it', async () => {
    const delivery = await recalledWhen('granted');
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'failed', reason: 'step_failed', compensation: 'complete' });
    expect(await outcomesOf(delivery, 'recall_drone/1')).not.toEqual(['pending']);
    const recalls = lab.faults.callsOf(delivery.id).filter(({ activity }) => activity === 'recallDrone');
    expect(
      new Set(recalls.filter(({ result }) => result === 'ok').map(({ key }) => key)).size,
    ).toBeGreaterThan(1);
    await delivery.untilNothingHeld();
  });

  it('a release that finds the package aboard is not done: a person hears of it, until the drone is empty', async () => {
    const delivery = await recalledWhen('loaded');
    const asked = async () =>
      (await delivery.read()).interventions.find((one) => one.kind === 'compensation:release_drone/1');
    await lab.until('a person is asked', async () => (await asked()) !== undefined);
    expect((await asked())?.reason).toContain('still held (loaded)');
    expect(await delivery.read()).toMatchObject({ complete: false, compensation: 'needs_intervention' });
    const { outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'failed', reason: 'step_failed', compensation: 'complete' });
    expect((await asked())?.resolved_at).not.toBeNull();
    expect(await outcomesOf(delivery, 'release_drone/1')).not.toContain('loaded');
    await delivery.untilNothingHeld();
  });
});

describe('what was lost', () => {
  it('is credited once, by its declared value, and until then a person hears what is not', async () => {
    const scene = await lab.prepare();
    for (const droneId of scene.droneIds)
      lab.pilot.arm(droneId, { failure: 'motor_failure', stage: 'to_dropoff' });
    lab.faults.arm({ activity: 'issueCreditNote', how: 'act_then_refuse', times: 1 });
    const delivery = await scene.order({ declaredCents: 2_500 });
    const asked = async (kind: string) =>
      (await delivery.read()).interventions.find((one) => one.kind === kind && one.resolved_at === null);
    await lab.until('the drone is down', async () => (await asked('drone_down')) !== undefined);
    await answer(delivery, (await asked('drone_down'))?.id ?? '', 'lost');
    const kind = 'compensation:issue_credit_note';
    await lab.until('a person is asked', async () => (await asked(kind)) !== undefined);
    expect((await asked(kind))?.reason).toContain('2500 USD are not credited to the account.');
    expect(await delivery.read()).toMatchObject({ complete: false, compensation: 'needs_intervention' });
    await answer(delivery, (await asked(kind))?.id ?? '', 'retry');
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'failed', failure_reason: 'package_lost', charge: { amount: 0 } });
    const credit = { amount: 2_500, currency: 'USD' };
    const { data } = await lab.clients.account.listCreditNotes({ query: { delivery_id: delivery.id } });
    expect(data).toMatchObject([{ account_id: scene.accountId, livemode: false, amount: credit }]);
    expect((await delivery.events()).at(-1)?.data).toMatchObject({ outcome: 'lost', credit });
  });
});

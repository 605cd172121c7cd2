/** The handover at the dropoff: who has to confirm it, who does not, and what comes of either. In virtual time. */
import { WorkflowUpdateStage } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { simulatedSignature } from '../../simulator/pictures.ts';
import type { OperatorAnswer } from '../../workflows/messages.ts';
import type { ScriptedFailure } from '../support/pilot.ts';
import { Lab } from './lab.ts';
import type { LabDelivery } from './lab-delivery.ts';
import type { DeliveryOptions } from './scene.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.shared();
});
afterEach(() => lab.rest());
afterAll(() => lab.close());

/** A delivery whose drone hovers at the dropoff and waits. */
async function awaited(options: DeliveryOptions = {}, failure?: Parameters<typeof lab.pilot.arm>[1]) {
  const scene = await lab.prepare(options);
  const [droneId] = scene.droneIds;
  if (!droneId) throw new Error('no drone');
  if (failure) lab.pilot.arm(droneId, failure);
  const delivery = await scene.order({ confirmation: 'pin', ...options });
  await delivery.untilStatus('arrived_at_dropoff');
  return { delivery, droneId };
}

const typesOf = async (delivery: LabDelivery) =>
  (await delivery.events()).map((event) => event.type.replace('delivery.', ''));
const wrongPin = (pin: string, n: number) => String((Number(pin) + n) % 1_000_000).padStart(6, '0');

describe('a package that the recipient confirms', () => {
  it('by PIN: is kept aboard until the right one is given, and lowered then', async () => {
    const { delivery, droneId } = await awaited();
    const waiting = await delivery.read();
    expect(waiting.confirmation_status).toBe('awaited');
    const arrived = (await delivery.events()).at(-1)?.occurred_at ?? '';
    expect(Date.parse(waiting.confirmation_due_at ?? '') - Date.parse(arrived)).toBe(105_000);
    expect(lab.pilot.look(droneId).activity.kind).toBe('awaiting_confirmation');

    const { pin } = await delivery.recipient();
    expect(await delivery.give({ pin: wrongPin(pin, 1) })).toMatchObject({
      outcome: 'wrong',
      attempts_left: 4,
    });
    expect(await delivery.tellConfirmed('confirm-0')).toMatchObject({
      outcome: 'refused',
      reason: 'not_given',
    });
    expect(await delivery.cancel()).toMatchObject({ outcome: 'refused', reason: 'already_picked_up' });
    expect(lab.pilot.look(droneId).activity.kind).toBe('awaiting_confirmation');

    expect(await delivery.give({ pin })).toMatchObject({ outcome: 'confirmed' });
    expect(await delivery.tellConfirmed()).toMatchObject({ outcome: 'accepted' });
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({
      status: 'delivered',
      confirmation_status: 'confirmed',
      confirmation_due_at: null,
      undeliverable_reason: null,
      charge: delivery.price,
    });
    expect((await typesOf(delivery)).slice(-4)).toEqual([
      'arrived_at_dropoff',
      'recipient_confirmed',
      'delivered',
      'settled',
    ]);
    await delivery.untilNothingHeld();
  });

  it.each([
    { kind: 'signature', given: { signature: { ...simulatedSignature('R'), signed_by: 'R. Recipient' } } },
    { kind: 'barcode', given: { barcodes: ['TEST'] } },
  ] as const)('by $kind', async ({ kind, given }) => {
    const { delivery } = await awaited({ confirmation: kind });
    expect(await delivery.give(structuredClone(given) as Parameters<typeof delivery.give>[0])).toMatchObject({
      outcome: 'confirmed',
    });
    expect(await delivery.tellConfirmed()).toMatchObject({ outcome: 'accepted' });
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'delivered', confirmation_status: 'confirmed' });
  });

  it('is delivered although the news of it was lost: the delivery looks before it gives up', async () => {
    // The lab's drones hear of news every 20 s only.
    const { delivery } = await awaited({ policy: { confirmationS: 60 } });
    const { pin } = await delivery.recipient();
    await delivery.give({ pin });
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'delivered', confirmation_status: 'confirmed' });
  });

  it('and told so over and over: is lowered once, and whoever comes late hears that it is delivered', async () => {
    const { delivery } = await awaited();
    const { pin } = await delivery.recipient();
    await delivery.give({ pin });
    const answers = [
      await delivery.tellConfirmed(),
      await delivery.tellConfirmed(),
      await delivery.tellConfirmed('confirm-2'),
    ];
    expect(answers.map((one) => typeof one === 'object' && one.outcome)).toEqual([
      'accepted',
      'accepted',
      'accepted',
    ]);
    await delivery.untilComplete();
    expect(await delivery.tellConfirmed()).toMatchObject({ outcome: 'accepted' });
    expect(await delivery.tellConfirmed('confirm-3')).toBe('gone');
    expect(lab.faults.callsOf(delivery.id).filter((one) => one.activity === 'lowerPackage')).toHaveLength(1);
    expect((await typesOf(delivery)).filter((type) => type === 'recipient_confirmed')).toHaveLength(1);
  });

  it('while the drone service is slow to hear of it: the order survives its lost answer', async () => {
    const { delivery } = await awaited();
    const { pin } = await delivery.recipient();
    lab.faults.arm({ activity: 'lowerPackage', how: 'lose_answer', times: 2, key: new RegExp(delivery.id) });
    await delivery.give({ pin });
    expect(await delivery.tellConfirmed()).toMatchObject({ outcome: 'accepted' });
    expect((await delivery.untilComplete()).delivery.status).toBe('delivered');
  });
});

describe('a photo', () => {
  it('is the drone’s own, and is there when the package is delivered', async () => {
    const delivery = await lab.start({ confirmation: 'photo' });
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'delivered', confirmation_status: 'confirmed' });
    const { clients } = lab;
    const proof = await clients.delivery.getProof({ params: { delivery_id: delivery.id } });
    expect(proof).toMatchObject({ kind: 'photo', given_by: 'drone', image: { content_type: 'image/png' } });
    expect(proof.position?.latitude).toBeCloseTo(ended.dropoff.location.latitude, 3);
    const delivered = (await delivery.events()).find((event) => event.type === 'delivery.delivered');
    expect(proof.confirmed_at).toBe(delivered?.occurred_at);
  });
});

describe('a package that nobody confirms', () => {
  it('goes back when the time is over: a real flight, charged as a return', async () => {
    const { delivery } = await awaited();
    const { confirmation_due_at: dueAt } = await delivery.read();
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({
      status: 'returned',
      confirmation_status: 'not_given',
      undeliverable_reason: 'recipient_absent',
    });
    // The way there, and the way back.
    expect(ended.return_price!.amount).toBeGreaterThan(0);
    expect(ended.charge?.amount).toBe(delivery.price.amount + ended.return_price!.amount);
    expect((await delivery.statuses()).slice(-4)).toEqual([
      'arrived_at_dropoff',
      'enroute_to_return',
      'arrived_at_return',
      'returned',
    ]);
    const absent = (await delivery.events()).find((event) => event.type === 'delivery.recipient_absent');
    expect(Date.parse(absent?.occurred_at ?? '')).toBeGreaterThanOrEqual(Date.parse(dueAt ?? ''));
    await delivery.untilNothingHeld();
  });

  it('goes back at once after too many wrong PINs, and the right one is refused then', async () => {
    const { delivery } = await awaited();
    const { pin } = await delivery.recipient();
    const left = [];
    for (let n = 1; n <= 6; n += 1) {
      const answer = await delivery.give({ pin: wrongPin(pin, n) });
      left.push(answer.outcome === 'wrong' && answer.attempts_left);
    }
    expect(left).toEqual([4, 3, 2, 1, 0, 0]);
    expect(await delivery.give({ pin })).toMatchObject({ outcome: 'wrong', attempts_left: 0 });
    expect(await delivery.tellConfirmed()).toMatchObject({
      outcome: 'refused',
      reason: 'attempts_exhausted',
    });
    const { confirmation_due_at: dueAt, undeliverable_reason: why } = await delivery.read();
    expect({ dueAt, why }).toEqual({ dueAt: null, why: 'confirmation_failed' });
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'returned', confirmation_status: 'not_given' });
    expect(await typesOf(delivery)).not.toContain('recipient_absent');
  });

  it('goes back by the drone’s own limit when the workflow is not heard', async () => {
    const { delivery, droneId } = await awaited({ policy: { dropoffHoverS: 60, confirmationS: 300 } });
    await delivery.untilStatus('enroute_to_return');
    expect(await delivery.read()).toMatchObject({
      confirmation_status: 'not_given',
      confirmation_due_at: null,
      undeliverable_reason: 'recipient_absent',
    });
    expect(lab.pilot.look(droneId).activity).toMatchObject({ kind: 'flying', leg: 'to_return' });
    const { pin } = await delivery.recipient();
    await expect(delivery.give({ pin })).rejects.toMatchObject({ reason: 'not_awaited' });
    expect(await delivery.tellConfirmed()).toMatchObject({ outcome: 'refused', reason: 'not_awaited' });
    expect((await delivery.untilComplete()).delivery.status).toBe('returned');
  });
});

describe('a confirmation that races the drone’s patience', () => {
  it('loses when the drone cannot hear of it: the package goes back, and says why', async () => {
    const { delivery } = await awaited({}, { failure: 'lost_link', stage: 'at_dropoff', at: 0.2, forS: 180 });
    await lab.until(
      'the link is lost',
      () => lab.pilot.look(delivery.scene.droneIds[0] as never).linkLostUntilMs !== null,
    );
    const { pin } = await delivery.recipient();
    await delivery.give({ pin });
    expect(await delivery.tellConfirmed()).toMatchObject({ outcome: 'accepted' });
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({
      status: 'returned',
      confirmation_status: 'not_given',
      undeliverable_reason: 'recipient_absent',
    });
    await delivery.untilNothingHeld();
  });

  it('loses when the order to lower it comes after the drone has turned back', async () => {
    const { delivery } = await awaited({ policy: { dropoffHoverS: 20, confirmationS: 15 } });
    const { pin } = await delivery.recipient();
    lab.faults.arm({ activity: 'lowerPackage', how: 'down', times: 6, key: new RegExp(delivery.id) });
    await delivery.give({ pin });
    expect(await delivery.tellConfirmed()).toMatchObject({ outcome: 'refused', reason: 'too_late' });
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'returned', confirmation_status: 'not_given' });
    expect(await typesOf(delivery)).toContain('confirmed_too_late');
  });

  it('is no bug when the drone service refuses it for good: the drone comes back by itself', async () => {
    const { delivery } = await awaited();
    const { pin } = await delivery.recipient();
    lab.faults.arm({ activity: 'lowerPackage', how: 'refuse', key: new RegExp(delivery.id) });
    await delivery.give({ pin });
    expect(await delivery.tellConfirmed()).toMatchObject({ outcome: 'refused', reason: 'too_late' });
    expect((await delivery.untilComplete()).delivery.status).toBe('returned');
  });
});

describe('while the drone waits for the recipient', () => {
  it('an abort turns it round, and a later confirmation is refused', async () => {
    const { delivery } = await awaited();
    const actor = { role: 'operator', id: 'test' } as const;
    const abort = await delivery.order('abort', { actor, why: 'the street is closed' });
    expect(abort).toMatchObject({ outcome: 'returning' });
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({
      status: 'returned',
      confirmation_status: 'not_given',
      undeliverable_reason: null,
    });
  });

  it('what is confirmed may yet find the dropoff blocked', async () => {
    const { delivery } = await awaited({}, { failure: 'dropoff_blocked' });
    const { pin } = await delivery.recipient();
    await delivery.give({ pin });
    await delivery.tellConfirmed();
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'returned', undeliverable_reason: 'dropoff_blocked' });
  });
});

describe('a drone that comes down while it waits for the recipient', () => {
  const DOWN: ScriptedFailure = { failure: 'motor_failure', stage: 'at_dropoff', at: 0.5 };
  const COUNTS = { outcome: 'pending', reason: 'drone_down' };

  /** It has set the package down, and nobody has said yet what becomes of that. */
  async function down(options: DeliveryOptions = {}): Promise<{ delivery: LabDelivery; pin: string }> {
    const { delivery } = await awaited(options, DOWN);
    await delivery.untilAsked('package_set_down');
    const { pin } = await delivery.recipient();
    return { delivery, pin };
  }

  const untilEvents = (delivery: LabDelivery, type: string, times: number) =>
    lab.until(
      `${type} came ${times} times`,
      async () => (await typesOf(delivery)).filter((one) => one === type).length === times,
    );

  /** So long as the drone would have waited for the recipient, and longer. */
  const longAfter = (delivery: LabDelivery) => lab.leapUntil(lab.wallNowMs + 20 * 60 * 1000, delivery);

  it('keeps the PIN for the one that takes over, which lowers it at once', async () => {
    const { delivery, pin } = await down();
    expect(await delivery.give({ pin })).toMatchObject({ outcome: 'confirmed' });
    expect(await delivery.tellConfirmed()).toMatchObject(COUNTS);
    await longAfter(delivery);
    expect(await delivery.read()).toMatchObject({
      status: 'arrived_at_dropoff',
      delayed: true,
      delay_reason: 'drone_failed',
      undeliverable_reason: null,
      confirmation_status: 'awaited',
      confirmation_due_at: null,
    });
    // Nobody is told to do anything with a drone that lies there.
    const told = ['returnToSender', 'lowerPackage'];
    expect(lab.faults.callsOf(delivery.id).filter((one) => told.includes(one.activity))).toEqual([]);

    await delivery.scene.addDrone();
    await delivery.answer('package_set_down', 'another_drone');
    const { delivery: ended, outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'delivered', attempts: 2 });
    expect(ended).toMatchObject({
      confirmation_status: 'confirmed',
      undeliverable_reason: null,
      charge: delivery.price,
    });
    const types = await typesOf(delivery);
    expect(types).not.toContain('recipient_absent');
    expect(types.slice(-4)).toEqual([
      'drone_arrived_at_dropoff',
      'recipient_confirmed',
      'delivered',
      'settled',
    ]);
    await delivery.untilNothingHeld();
  });

  it('leaves the recipient the time that the one that takes over waits', async () => {
    const { delivery, pin } = await down();
    await longAfter(delivery);
    await delivery.scene.addDrone();
    await delivery.answer('package_set_down', 'another_drone');
    await untilEvents(delivery, 'drone_arrived_at_dropoff', 1);
    expect((await delivery.read()).confirmation_due_at).not.toBeNull();
    await delivery.give({ pin });
    expect(await delivery.tellConfirmed()).toMatchObject({ outcome: 'accepted' });
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'delivered', confirmation_status: 'confirmed' });
    expect(await typesOf(delivery)).not.toContain('recipient_absent');
    await delivery.untilNothingHeld();
  });

  it('keeps what is given while the package waits for another one, and while that is on its way', async () => {
    const { delivery, pin } = await down();
    await delivery.answer('package_set_down', 'another_drone');
    await lab.until('it waits', async () => (await delivery.read()).delay_reason === 'no_drone');
    await delivery.give({ pin });
    expect(await delivery.tellConfirmed('on-the-ground')).toMatchObject(COUNTS);
    await delivery.scene.addDrone();
    await untilEvents(delivery, 'drone_took_off', 1);
    expect(await delivery.tellConfirmed('on-its-way')).toMatchObject(COUNTS);
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'delivered', confirmation_status: 'confirmed' });
  });

  it('has the package brought back by the next one, where every PIN was wrong', async () => {
    const { delivery, pin } = await down();
    for (let n = 1; n <= 5; n += 1) await delivery.give({ pin: wrongPin(pin, n) });
    expect(await delivery.tellConfirmed()).toMatchObject(COUNTS);
    await longAfter(delivery);
    expect(await delivery.read()).toMatchObject({ undeliverable_reason: null, delay_reason: 'drone_failed' });
    await delivery.scene.addDrone();
    await delivery.answer('package_set_down', 'another_drone');
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'returned', undeliverable_reason: 'confirmation_failed' });
    await delivery.untilNothingHeld();
  });

  it('before the order to let go has reached the drone service: that is not taken for turned back', async () => {
    const { delivery, droneId } = await awaited({}, DOWN);
    const { pin } = await delivery.recipient();
    lab.faults.arm({ activity: 'lowerPackage', how: 'down' });
    await delivery.give({ pin });
    const telling = await delivery.handle.startUpdate<OperatorAnswer, [unknown]>('confirm', {
      args: [{ actor: { role: 'recipient', id: 'test' } }],
      waitForStage: WorkflowUpdateStage.ACCEPTED,
    });
    await lab.until('it is down', () => lab.pilot.look(droneId).activity.kind === 'down');
    lab.faults.clear();
    expect(await lab.untilSettled('it is answered', telling.result())).toMatchObject(COUNTS);
    await delivery.scene.addDrone();
    await delivery.answer('package_set_down', 'another_drone');
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'delivered', confirmation_status: 'confirmed' });
    expect(await typesOf(delivery)).not.toContain('confirmed_too_late');
  });

  it('after nobody was there: what is handed over after all was not undeliverable', async () => {
    // The order to bring it back does not reach it before it comes down.
    const policy = { confirmationS: 1 };
    const scene = await lab.prepare();
    const [droneId] = scene.droneIds;
    if (!droneId) throw new Error('no drone');
    lab.pilot.arm(droneId, { failure: 'lost_link', stage: 'at_dropoff', at: 0.04, forS: 30 });
    lab.pilot.arm(droneId, { ...DOWN, at: 1 });
    const delivery = await scene.order({ confirmation: 'pin', policy });
    await delivery.untilAsked('package_set_down');
    expect(await delivery.read()).toMatchObject({ undeliverable_reason: 'recipient_absent' });
    const { pin } = await delivery.recipient();
    await delivery.give({ pin });
    await delivery.scene.addDrone();
    await delivery.answer('package_set_down', 'another_drone');
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'delivered', undeliverable_reason: null });
  });

  it('and is said to have been delivered by hand: neither then', async () => {
    const { delivery } = await awaited({ policy: { confirmationS: 5 } });
    lab.faults.arm({ activity: 'returnToSender', how: 'refuse' });
    await delivery.answer('drone_refused', 'delivered');
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'delivered', undeliverable_reason: null });
  });

  it('or only falls silent: it may yet be told, and nobody is said to be absent while a person is asked', async () => {
    const { delivery, droneId } = await awaited(
      { policy: { confirmationS: 200, dropoffHoverS: 300 } },
      { failure: 'lost_link', stage: 'at_dropoff', at: 0.2, forS: 270 },
    );
    await delivery.untilAsked('drone_down_');
    await lab.leapUntil(lab.wallNowMs + 150_000, delivery);
    expect(await typesOf(delivery)).not.toContain('recipient_absent');
    const { pin } = await delivery.recipient();
    await delivery.give({ pin });
    expect(await delivery.tellConfirmed()).toMatchObject({ outcome: 'accepted' });
    expect(lab.pilot.look(droneId).linkLostUntilMs).not.toBeNull();
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'delivered', confirmation_status: 'confirmed' });
  });
});

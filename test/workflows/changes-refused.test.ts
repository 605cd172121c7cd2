/** Changes that are no such, or cannot be written down: what is rejected leaves no trace, and what is refused does not stand. In virtual time. */
import { WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { distanceM } from '../../shared/geodesy.ts';
import type { FieldError } from '../../shared/errors.ts';
import { Lab } from './lab.ts';
import type { LabDelivery } from './lab-delivery.ts';
import type { DeliveryOptions } from './scene.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.shared();
});
afterEach(() => lab.rest());
afterAll(() => lab.close());

const BY = { why: 'the test wants it', actor: { role: 'operator', id: 'jo' } } as const;
/** By the list: 4.99 and 0.60 for 1.2 kg, and 0.60 for each km. */
const priceCents = (km: number) => 559 + 60 * km;
const NEAR: DeliveryOptions = { toDropoffM: 2_000, priceCents: priceCents(2) };
const ON_THE_GROUND: DeliveryOptions = { ...NEAR, pickup: { fromS: 900, toS: 3_600 } };
const SCHEDULED: DeliveryOptions = { ...NEAR, pickup: { fromS: 7_200, toS: 10_800 } };
const REFUSED_FOR_GOOD = { outcome: 'refused', reason: 'step_failed' };

/** Sends an update that must be rejected. @returns the failure's type and the wrong fields */
async function rejected(delivery: LabDelivery, update: string, command: object) {
  const sent = delivery.handle.executeUpdate(update, { args: [command] as [unknown] });
  const error: unknown = await sent.then(
    () => expect.unreachable(),
    (thrown: unknown) => thrown,
  );
  const cause = error instanceof WorkflowUpdateFailedError ? error.cause : undefined;
  if (!(cause instanceof ApplicationFailure)) throw error;
  const [errors] = (cause.details ?? []) as [FieldError[]?];
  return { type: cause.type, fields: (errors ?? []).map((one) => one.field) };
}

describe('a change that a service would not take is rejected, with the field, and nothing has happened', () => {
  it.each([
    ['a phone that is none', { contact: { phone: '425 555 0100' } }, 'dropoff.contact.phone'],
    ['an email that is none', { contact: { email: 'nobody' } }, 'dropoff.contact.email'],
    ['a contact’s unknown field', { contact: { fax: '1' } }, 'dropoff.contact.fax'],
    ['an empty address', { address: '' }, 'dropoff.address'],
    ['a long address', { address: 'x'.repeat(501) }, 'dropoff.address'],
    ['a text that cannot be stored', { notes: 'a\0b' }, 'dropoff.notes'],
    ['an unknown field', { floor: 3 }, 'dropoff.floor'],
    ['no place on earth', { location: { latitude: 91, longitude: 0 } }, 'dropoff.location'],
  ])('a dropoff with %s', async (_, changes, field) => {
    const delivery = await lab.start(SCHEDULED);
    await delivery.untilStatus('scheduled');
    const before = await delivery.events();
    const dropoff = { location: delivery.dropoffAt(3_000), ...changes };
    expect(await rejected(delivery, 'changeDropoff', { ...BY, dropoff })).toEqual({
      type: 'invalid_command',
      fields: [field],
    });
    expect(await delivery.events()).toEqual(before);
    await delivery.cancel();
    await delivery.untilNothingHeld();
  });

  it('a dropoff where nobody could be reached who has to confirm', async () => {
    const delivery = await lab.start({ ...SCHEDULED, confirmation: 'pin' });
    await delivery.untilStatus('scheduled');
    const dropoff = { location: delivery.dropoffAt(3_000), contact: { name: 'A. Recipient' } };
    expect(await rejected(delivery, 'changeDropoff', { ...BY, dropoff })).toEqual({
      type: 'impossible_dropoff',
      fields: ['dropoff.contact'],
    });
    const reachable = { ...dropoff, contact: { phone: '+14255550100' } };
    const answer = await lab.untilSettled(
      'it is changed',
      delivery.handle.executeUpdate('changeDropoff', { args: [{ ...BY, dropoff: reachable }] as [unknown] }),
    );
    expect(answer).toMatchObject({ outcome: 'changed' });
    await delivery.cancel();
    await delivery.untilNothingHeld();
  });

  it('a pickup window of times that are none, and a reason that cannot be stored', async () => {
    const delivery = await lab.start(SCHEDULED);
    await delivery.untilStatus('scheduled');
    const pickupWindow = { start: 'Jan 15 2031 10:00', end: '2031-01-15' };
    expect(await rejected(delivery, 'reschedule', { ...BY, pickupWindow })).toEqual({
      type: 'invalid_command',
      fields: ['pickupWindow'],
    });
    expect(await rejected(delivery, 'abort', { ...BY, why: 'a\ud800b' })).toEqual({
      type: 'invalid_command',
      fields: ['why'],
    });
    await delivery.cancel();
    await delivery.untilNothingHeld();
  });
});

describe('a change of the dropoff that cannot be written down', () => {
  it.each([
    { where: 'while its drone waits on the ground', options: ON_THE_GROUND, status: 'confirmed' },
    { where: 'while none is assigned', options: SCHEDULED, status: 'scheduled' },
  ] as const)('$where does not stand: it is flown to the old one, for the old price', async (point) => {
    const delivery = await lab.start(point.options);
    await delivery.untilStatus(point.status);
    const place = (await delivery.read()).dropoff.location;
    lab.faults.arm({ activity: 'appendEvents', key: /event_dropoff_changed/, how: 'refuse' });
    expect(await delivery.changeDropoff(delivery.dropoffAt(4_000))).toMatchObject(REFUSED_FOR_GOOD);
    lab.faults.clear();
    // A later one is compared, and priced, with what stands.
    const again = await delivery.changeDropoff(place, { updateId: 'the-old-one', from: place });
    expect(again).toMatchObject({ outcome: 'changed' });
    if (point.status === 'scheduled') await lab.leapUntil(lab.wallNowMs + 6_400_000, delivery);
    const { delivery: ended } = await delivery.untilComplete();
    expect(ended).toMatchObject({ status: 'delivered', charge: { amount: priceCents(2) } });
    expect(distanceM(ended.dropoff.location, place)).toBeLessThan(1);
    const { data } = await lab.clients.drone.listReservations({ query: { delivery_id: delivery.id } });
    const milestones = await lab.clients.drone.readMilestones({
      params: { reservation_id: data[0]!.id },
      query: { after_sequence: 0 },
    });
    const released = milestones.data.find((one) => one.kind === 'released')?.position;
    expect(released && distanceM(released, place)).toBeLessThan(5);
    await delivery.untilNothingHeld();
  });
});

describe('a reschedule that cannot be written down', () => {
  it.each([
    { where: 'while it is scheduled', options: SCHEDULED, status: 'scheduled' },
    { where: 'while its drone waits on the ground', options: ON_THE_GROUND, status: 'confirmed' },
  ] as const)('$where fails the delivery, and whoever asked hears that', async ({ options, status }) => {
    const delivery = await lab.start(options);
    await delivery.untilStatus(status);
    const before = (await delivery.read()).pickup_window;
    lab.faults.arm({ activity: 'appendEvents', key: /event_rescheduled/, how: 'refuse' });
    const answer = await delivery.reschedule(lab.windowIn({ fromS: 20_000, toS: 30_000 }));
    expect(answer).toMatchObject({ outcome: 'refused', reason: 'already_failed' });
    lab.faults.clear();
    const { delivery: ended, outcome } = await delivery.untilComplete();
    expect(outcome).toMatchObject({ status: 'failed', compensation: 'complete' });
    expect(ended).toMatchObject({
      failure_reason: 'step_failed',
      pickup_window: before,
      charge: { amount: 0 },
    });
    await delivery.untilNothingHeld();
  });
});

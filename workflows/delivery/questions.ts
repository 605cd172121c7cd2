/** What people are asked about a package whose drone does not go on, and what their answers end. */
import { type DeliveryStatus, statusesBetween } from '../../services/delivery/contract/status.ts';
import type { Location } from '../../shared/schemas.ts';
import { type Ending, failed } from './endings.ts';
import type { DeliveryRecord, OpenedIntervention } from './record.ts';

/** The answer that sends another drone to where the package was set down. */
export const ANOTHER_DRONE = 'another_drone';

type Offered = OpenedIntervention['answers'][number];

/** The answers that there are, with what each causes: none that the delivery's status has no legal way to. */
export function answersAbout(
  status: DeliveryStatus,
  { anotherDrone, wait }: { anotherDrone: boolean; wait: boolean },
): Offered[] {
  const ends = (to: 'delivered' | 'returned', effect: string): Offered[] =>
    statusesBetween(status, to) === undefined ? [] : [{ answer: to, effect }];
  return [
    {
      answer: 'lost',
      effect: 'fails the delivery as lost; nothing is charged, and what is lost is credited',
    },
    ...ends('delivered', 'ends it as delivered by hand; the price is charged'),
    ...ends('returned', 'ends it as returned to the sender by hand; the price is charged'),
    ...(anotherDrone
      ? [{ answer: ANOTHER_DRONE, effect: 'sends another drone, which takes the package up where it lies' }]
      : []),
    ...(wait ? [{ answer: 'wait', effect: 'goes on waiting for the drone' }] : []),
  ];
}

/**
 * The ending that a person's answer is; undefined when it ends nothing.
 * @throws {Ended} failed, when the package is lost
 */
export async function settledByHand(
  record: DeliveryRecord,
  answer: string,
  by: string,
  why: string,
): Promise<Ending | undefined> {
  const details = { data: { by, why } };
  switch (answer) {
    case 'lost':
      throw failed('package_lost', `Given up by ${by}: ${why}`, 'lost');
    case 'delivered':
      await record.walkTo('delivered', { ...details, patch: { undeliverable_reason: null } });
      return { status: 'delivered', charged: 'delivered' };
    case 'returned':
      await record.walkTo('returned', details);
      return { status: 'returned', charged: 'returned' };
    default:
      return undefined;
  }
}

export const placeOf = (position: Location | null): string =>
  position === null ? 'an unknown place' : `${position.latitude}, ${position.longitude}`;

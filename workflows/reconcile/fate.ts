/** What becomes of the package of a delivery whose workflow is gone, and what only a person can say of it. Pure. */
import type { Examination } from '../../activities/examination.ts';
import { type DeliveryStatus, statusesBetween } from '../../services/delivery/contract/status.ts';
import { nameOf, type ResolveInterventionCommand } from '../messages.ts';
import { DEFAULT_POLICY } from '../delivery/policy.ts';
import { answersAbout, placeOf } from '../delivery/questions.ts';
import type { Question } from './questions.ts';
import type { Note } from './timeline.ts';
import type { ExaminedDelivery } from './undoing.ts';

/** What a question is about whose package is in a drone that is down. */
export const IN_DRONE = 'package_in_drone';

/** What a question is about that says what has become of the package; every other one is about what is held. */
const ABOUT_PACKAGE = [IN_DRONE, 'package_on_ground', 'package_with_carrier', 'overdue_carrier'];
export const isAboutPackage = (about: string): boolean => ABOUT_PACKAGE.includes(about);

/** How the delivery ends; `by` and `why`: a person has said so; `isConfirmed`: the proof that its sender asked for was given. */
export type Fate =
  | { status: 'failed'; reason: 'workflow_terminated' }
  | { status: 'failed'; reason: 'package_lost'; by: string; why: string }
  | { status: 'delivered' | 'returned'; by?: string; why?: string; isConfirmed?: boolean };

/** How it ends as far as the services know; undefined: it is not settled yet. */
export function knownFate({ whereabouts, held }: Examination): Fate | undefined {
  switch (whereabouts?.at) {
    case 'sender':
      // A drone that was sent for it may still load it.
      return held.some((one) => 'droneId' in one)
        ? undefined
        : { status: 'failed', reason: 'workflow_terminated' };
    case 'recipient':
      return { status: 'delivered', isConfirmed: whereabouts.isConfirmed === true };
    default:
      return undefined;
  }
}

export function fateBy({ answer, actor, why }: ResolveInterventionCommand): Fate {
  const by = nameOf(actor);
  if (answer === 'delivered' || answer === 'returned') return { status: answer, by, why };
  return { status: 'failed', reason: 'package_lost', by, why };
}

/** The events that write it down: every status on the way. Where no legal way leads there, it has failed. */
export function notesOf(fate: Fate, delivery: ExaminedDelivery, seen: Examination): Note[] {
  const { status } = delivery;
  const { workflow, termination } = seen;
  if (fate.status === 'failed') {
    const detail =
      fate.reason === 'package_lost'
        ? `Given up by ${fate.by}: ${fate.why}`
        : `Its workflow was ${workflow} while the delivery was ${status}.`;
    const who = fate.reason === 'package_lost' ? fate : termination;
    return [
      {
        type: 'delivery.failed',
        status: 'failed',
        data: { workflow, ...(who && { by: who.by, why: who.why }) },
        patch: { failure_reason: fate.reason, failure_detail: detail, compensation: 'pending' },
      },
    ];
  }
  const { by = 'reconciler', why, isConfirmed = false } = fate;
  const way = statusesBetween(status, fate.status);
  if (!way) return notesOf({ status: 'failed', reason: 'workflow_terminated' }, delivery, seen);
  return way.map((step) => ({
    type: `delivery.${step}`,
    status: step,
    data: { by, ...(why !== undefined && { why }) },
    patch: {
      delayed: false,
      delay_reason: null,
      ...(isConfirmed && step === 'delivered' && { confirmation_status: 'confirmed' as const }),
    },
  }));
}

/** What a person has to say of the package; undefined while nobody needs to. */
export function questionAbout(seen: Examination): Question | undefined {
  const { whereabouts, delivery, held, now } = seen;
  if (!whereabouts || !delivery) return undefined;
  switch (whereabouts.at) {
    case 'drone':
      if (!whereabouts.isDown) return undefined;
      return {
        about: IN_DRONE,
        kind: 'drone_down',
        reason:
          `Drone ${whereabouts.droneId} is down with the package aboard, last known at ${placeOf(whereabouts.position)}, and its delivery ` +
          'has no workflow any more. Recover both, and say what has become of the package.',
        ...offered(delivery.status),
      };
    case 'ground':
      // A drone that was sent for it may still take it up.
      if (held.some((one) => 'droneId' in one)) return undefined;
      return {
        about: 'package_on_ground',
        kind: 'drone_down',
        reason:
          `The package lies at ${placeOf(whereabouts.position)}, where drone ${whereabouts.droneId} has left it, and its delivery has no ` +
          'workflow any more. Recover it, and say what has become of it.',
        ...offered(delivery.status),
      };
    case 'carrier_failed':
      return {
        about: 'package_with_carrier',
        kind: 'carrier_failed',
        reason:
          `The carrier has given up the booking ${whereabouts.bookingId} with the package in its hands, and its delivery has no workflow ` +
          'any more. Find out where it is, and say what has become of it.',
        ...offered(delivery.status, 'carrier_failed'),
      };
    case 'carrier':
      if (Date.parse(now) < Date.parse(whereabouts.expectedBy) + OVERDUE_MS) return undefined;
      return {
        about: 'overdue_carrier',
        kind: 'overdue',
        reason:
          `The carrier is overdue with the booking ${whereabouts.bookingId} since ${whereabouts.expectedBy}, and its delivery has no ` +
          'workflow any more. Find out where the package is; this closes by itself when the carrier ends it.',
        ...offered(delivery.status, 'carrier_failed'),
      };
    case 'sender':
    case 'recipient':
      return undefined;
  }
}

/** As the delivery's own workflow waits: until it is late a second time. */
const OVERDUE_MS = 2 * DEFAULT_POLICY.carrierSlackS * 1000;

const offered = (
  status: DeliveryStatus,
  delay_reason: 'drone_failed' | 'carrier_failed' = 'drone_failed',
) => ({
  answers: answersAbout(status, { anotherDrone: false, wait: false }),
  patch: { delayed: true, delay_reason },
});

/**
 * What is due for a delivery: from what was asked for, the published tariff, how it ended and what was flown. Nothing that the
 * saga wrote down about money is believed; it is compared.
 */
import {
  chargeFor,
  type ChargedOutcome,
  creditNoteFor,
  priceOf,
  priceOfReturn,
} from '../../services/account/contract/index.ts';
import { timeMsOf } from '../../shared/clock.ts';
import { distanceM } from '../../shared/geodesy.ts';
import type { Money } from '../../shared/schemas.ts';
import type { Dossier } from './dossier.ts';

/** A return whose way back may go uncharged, and why: what the saga says of it has to be possible. */
const NOT_AUTHORIZED = 'delivery.return_not_authorized';
/** The account service could not be asked at first. */
const AUTHORIZED_LATE = 'delivery.return_authorized';

export function chargeFaults(dossier: Dossier): string[] {
  const { delivery, authorizations } = dossier;
  const captures = authorizations.filter(({ captured }) => (captured?.amount ?? 0) > 0);
  const captured = captures.reduce((sum, one) => sum + (one.captured?.amount ?? 0), 0);
  const charged = delivery.charge?.amount ?? 0;
  const price = listPrice(dossier);
  const outcome = outcomeOf(dossier);
  const back = outcome === 'returned' ? legBack(dossier) : null;
  const due = outcome === undefined ? 0 : chargeFor(outcome, price, back).amount;
  // What was raised for another dropoff or a flight back is captured beside the first authorization.
  const first = captures.filter(({ step_key }) => !step_key.includes('/reauthorize/'));
  return [
    ...(delivery.price.amount !== price.amount || delivery.price.currency !== price.currency
      ? [`its price is ${delivery.price.amount}; by the tariff it is ${price.amount}`]
      : []),
    ...(first.length > 1 ? [`charged ${first.length} times`] : []),
    ...(captured !== charged ? [`${captured} captured, and the delivery says ${charged}`] : []),
    ...(outcome !== undefined && captured !== due
      ? [
          `charged ${captured}; by the tariff it is ${due}: ${outcome}, price ${price.amount}` +
            (back === null ? '' : `, the flight back ${back.amount}`),
        ]
      : []),
    ...(outcome === 'returned' ? unbelievableRefusals(dossier) : []),
    ...absenceFaults(dossier),
    ...creditFaults(dossier, outcome === 'lost' ? creditNoteFor(price, delivery.packages).amount : 0),
    ...authorizations
      .filter(({ state }) => state === 'authorized')
      .map(({ id, amount }) => `${amount.amount} still authorized (${id})`),
  ];
}

/** Nobody loaded it: the sender's absence where its drone came in time, our lateness where that came after the pickup window. */
function absenceFaults({ delivery: { failure_reason, pickup_window }, milestones }: Dossier): string[] {
  const isAbsence = failure_reason === 'sender_absent';
  if (!isAbsence && failure_reason !== 'pickup_window_missed') return [];
  const said = isAbsence
    ? 'the sender is said to have been absent'
    : 'the window is said to have been missed';
  const arrival = milestones.findLast(({ kind }) => kind === 'arrived_at_pickup');
  if (arrival === undefined) return [`${said}, and no drone had come`];
  const endMs = pickup_window === null ? Number.POSITIVE_INFINITY : timeMsOf(pickup_window.end);
  const cameLate = timeMsOf(arrival.occurredAt) > endMs;
  if (cameLate !== isAbsence) return [];
  return [`${said}, and the drone came ${cameLate ? 'after' : 'before the end of'} the pickup window`];
}

/** What was lost is credited, once; nothing else is. */
function creditFaults({ creditNotes }: Dossier, due: number): string[] {
  const amounts = creditNotes.map(({ amount }) => amount.amount);
  const isRight = due === 0 ? amounts.length === 0 : amounts.length === 1 && amounts[0] === due;
  return isRight
    ? []
    : [`credited ${amounts.join(' and ') || 'nothing'}; due is ${due === 0 ? 'nothing' : due}`];
}

/** What its sender asked for, by the list. The dropoff that stands is one that was asked for: orders.ts sees to that. */
function listPrice({ delivery, asked: { requested } }: Dossier): Money {
  const { pickup, weightKg, expedited } = requested ?? {
    pickup: delivery.pickup.location,
    weightKg: delivery.packages.reduce((sum, one) => sum + one.weight_kg, 0),
    expedited: delivery.expedited,
  };
  return priceOf({ distanceM: distanceM(pickup, delivery.dropoff.location), weightKg, expedited });
}

/**
 * What flying it back cost: from where the aircraft says that it turned round. Null where it did not fly back: somebody brought it.
 * What the account could not pay is not charged; whether that may be so is `unbelievableRefusals`' question.
 */
function legBack({ delivery, milestones, asked: { requested }, events }: Dossier): Money | null {
  const turned = milestones.find(({ kind }) => kind === 'turned_back');
  const last = events.findLast(({ type }) => type === NOT_AUTHORIZED || type === AUTHORIZED_LATE);
  if (turned === undefined || last?.type === NOT_AUTHORIZED) return null;
  const from = turned.position ?? delivery.dropoff.location;
  return priceOfReturn(distanceM(from, requested?.pickup ?? delivery.pickup.location));
}

/** A flight back that went uncharged for want of credit, although the account could have paid all it ever was to pay. */
function unbelievableRefusals({ delivery, events, everAuthorized, history }: Dossier): string[] {
  const refusal = events.find(({ type }) => type === NOT_AUTHORIZED);
  if (refusal?.data['reason'] !== 'credit_exceeded') return [];
  const account = history.accounts.find(({ id }) => id === delivery.account_id);
  const asked = (refusal.data['amount'] as Money | undefined)?.amount ?? 0;
  const limit = account?.credit_limit.amount ?? 0;
  return everAuthorized + asked <= limit
    ? [`the flight back went uncharged for want of credit: ${everAuthorized} of ${limit} was ever used`]
    : [];
}

export function outcomeOf({ delivery, events, reservations, history }: Dossier): ChargedOutcome | undefined {
  switch (delivery.status) {
    case 'delivered':
      return 'delivered';
    case 'returned':
      return 'returned';
    case 'failed':
      if (delivery.failure_reason === 'sender_absent') return 'sender_absent';
      return delivery.failure_reason === 'package_lost' ? 'lost' : 'our_failure';
    case 'cancelled': {
      const end = events.findIndex(({ status }) => status === 'cancelled');
      const before = events[end - 1]?.status;
      // Where it waited for another drone, or had none yet, nothing was on its way to it.
      if (before !== 'confirmed' && before !== 'enroute_to_pickup' && before !== 'arrived_at_pickup') {
        return 'cancelled_before_dispatch';
      }
      const drone = reservations.at(-1);
      const wasSent =
        delivery.fulfilment === 'carrier' || (drone !== undefined && history.dispatched.has(drone.id));
      return wasSent ? 'cancelled_after_dispatch' : 'cancelled_before_dispatch';
    }
    default:
      return undefined;
  }
}

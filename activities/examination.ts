/** One look at a delivery without a living workflow: what the services know and hold of it, as far as they answer. */
import type { Carriers, Termination } from '../audit/carriers.ts';
import { type Holder, type Holding, holdingsAsFarAsKnown } from '../audit/holdings.ts';
import { deliveryOf, droneIsDown, withoutLostDrones } from '../audit/orphans.ts';
import { type accountContract, creditNoteFor } from '../services/account/contract/index.ts';
import { type Delivery, isFinal } from '../services/delivery/contract/index.ts';
import { type Clock, isoTime } from '../shared/clock.ts';
import { Problem } from '../shared/errors.ts';
import { everyItem } from '../shared/every-item.ts';
import type { BodyOf } from '../shared/http/contract.ts';
import type { DeliveryId } from '../shared/ids.ts';
import type { Money } from '../shared/schemas.ts';
import type { ServiceClients } from './index.ts';
import { type Whereabouts, whereaboutsOf } from './whereabouts.ts';

/** What one look at a delivery shows. */
export interface Examination {
  /** Its own workflow lives: nobody else may undo anything, and nothing else has been looked at but the delivery. */
  isCarried: boolean;
  workflow: string;
  /** In what was seen by an older build, without its run and its time. */
  termination: (Pick<Termination, 'by' | 'why'> & Partial<Termination>) | null;
  /** Null: the delivery service does not know it. */
  delivery: Pick<
    Delivery,
    | 'status'
    | 'failure_reason'
    | 'complete'
    | 'compensation'
    | 'sequence'
    | 'account_id'
    | 'price'
    | 'return_price'
  > | null;
  /** Ids of its open interventions. */
  interventions: string[];
  held: Holding[];
  /** Services that do not answer: what they hold is not known. Absent in what was seen by an older build. */
  unread?: Holder[];
  /** Where the package of a delivery is that has not ended; null: it has ended, or a service that knows does not answer. */
  whereabouts?: Whereabouts | null;
  /** Drones among those held that a person has to bring back. */
  downDroneIds: string[];
  captured: Money | null;
  /** What it is owed and was not credited: it is lost, and its end was not reached. Absent in what was seen by an older build. */
  owed?: Omit<BodyOf<typeof accountContract, 'issueCreditNote'>, 'reason'> | null;
  /** By the clock of the deliveries, RFC 3339. */
  now: string;
}

export interface Examiner {
  services: ServiceClients;
  carriers: Carriers;
  clock: Clock;
}

/** @param byItself its own workflow looks, which lives */
export async function examine(
  { services, carriers, clock }: Examiner,
  deliveryId: DeliveryId,
  byItself: boolean,
): Promise<Examination> {
  // The workflow is looked at first: what is read afterwards is all that it left.
  const workflow = await carriers.ofDelivery(deliveryId);
  const isCarried = workflow === 'running' && !byItself;
  const delivery = await deliveryOf(services, deliveryId);
  const seen = {
    isCarried,
    workflow,
    delivery: delivery && {
      status: delivery.status,
      failure_reason: delivery.failure_reason,
      complete: delivery.complete,
      compensation: delivery.compensation,
      sequence: delivery.sequence,
      account_id: delivery.account_id,
      price: delivery.price,
      return_price: delivery.return_price,
    },
    interventions: (delivery?.interventions ?? [])
      .filter((one) => one.resolved_at === null)
      .map((one) => one.id),
    now: isoTime(clock.nowMs()),
  };
  const nothing = { termination: null, held: [], downDroneIds: [], captured: null };
  if (isCarried) return { ...seen, ...nothing };
  const [{ held: all, unread }, captured, owed, whereabouts, termination] = await Promise.all([
    holdingsAsFarAsKnown(services, { id: deliveryId, status: delivery?.status ?? null }),
    orUnknown(capturedFor(services, deliveryId)),
    delivery && orUnknown(owedFor(services, delivery)),
    delivery && !isFinal(delivery.status) ? orUnknown(whereaboutsOf(services, deliveryId)) : null,
    workflow === 'terminated' ? carriers.terminationOf(deliveryId) : null,
  ]);
  const held = await withoutLostDrones(services, delivery, all);
  const drones = held.flatMap((one) => ('droneId' in one ? [one.droneId] : []));
  const isDown = await Promise.all(drones.map((id) => droneIsDown(services, id)));
  return {
    ...seen,
    termination,
    held,
    // Whether anything is captured, or owed, the account service would know.
    unread:
      captured === undefined || owed === undefined ? [...new Set([...unread, 'account' as const])] : unread,
    whereabouts: whereabouts ?? null,
    downDroneIds: drones.filter((_, index) => isDown[index] === true),
    captured: captured ?? null,
    owed: owed ?? null,
  };
}

/** Undefined when the service does not answer at the moment. */
async function orUnknown<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof Problem && error.retryable) return undefined;
    throw error;
  }
}

async function capturedFor({ account }: ServiceClients, delivery_id: DeliveryId): Promise<Money | null> {
  const all = await everyItem((page) => account.listAuthorizations({ query: { ...page, delivery_id } }));
  const captured = all.flatMap((one) => one.captured ?? []);
  if (!captured[0]) return null;
  return {
    amount: captured.reduce((sum, one) => sum + one.amount, 0),
    currency: captured[0].currency,
  };
}

/** The credit note that a lost delivery lacks. One that is complete has come to its end with it, or from before there were any. */
async function owedFor(
  { account }: ServiceClients,
  delivery: Delivery,
): Promise<NonNullable<Examination['owed']> | null> {
  const { id, account_id, livemode, failure_reason, complete, price, packages } = delivery;
  const amount = creditNoteFor(price, packages);
  if (failure_reason !== 'package_lost' || complete || amount.amount === 0) return null;
  const { data } = await account.listCreditNotes({ query: { delivery_id: id } });
  return data.length > 0 ? null : { account_id, delivery_id: id, livemode, amount };
}

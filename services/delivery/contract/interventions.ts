/** Ids of interventions: unique among all deliveries, and each tells whose it is. Pure: workflow code imports it. */
import type { DeliveryId } from '../../../shared/ids.ts';

/** `int_`, the delivery's own part of its id, and what it is about. */
export const INTERVENTION_ID_PATTERN = '^int_[0-7][0-9a-hjkmnp-tv-z]{25}_[a-z0-9_]{1,80}$';

/** @param what `release_drone_1`, `overdue_2`: lower-case letters, digits and `_` */
export function interventionIdOf(deliveryId: DeliveryId, what: string): string {
  return `int_${deliveryId.slice(deliveryId.indexOf('_') + 1)}_${what}`;
}

/** The delivery that an intervention belongs to; the id must match the pattern. */
export function deliveryOfIntervention(interventionId: string): DeliveryId {
  return `del_${interventionId.split('_')[1] ?? ''}` as DeliveryId;
}

const RECONCILERS = 'reconcile_';

/** The id of a question that the reconciler asks, not the delivery's own workflow. @param about as `interventionIdOf` takes it */
export const reconcilersQuestion = (deliveryId: DeliveryId, about: string): string =>
  interventionIdOf(deliveryId, RECONCILERS + about);

/** Whether it was the reconciler who asked: it takes the answer. */
export const isAskedByReconciler = (interventionId: string): boolean =>
  interventionId.split('_').slice(2).join('_').startsWith(RECONCILERS);

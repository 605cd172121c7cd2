/**
 * The search attributes of a delivery's workflow: what operators filter by in the Temporal UI. None holds personal data
 * and none is encrypted. Pure (only `@temporalio/common`), so that workflow code can import it.
 *
 * A SQL visibility store gives each namespace a fixed number of columns per type, so the list stays within 8 keywords,
 * 3 datetimes and 3 ints.
 */
import { defineSearchAttributeKey, SearchAttributeType, TypedSearchAttributes } from '@temporalio/common';
import type { DeliveryInput } from '../../workflows/messages.ts';

const { KEYWORD, DATETIME, INT } = SearchAttributeType;

export const DELIVERY_SEARCH_ATTRIBUTES = {
  /** The delivery's status: `awaiting_drone`, `confirmed`, … */
  deliveryStatus: defineSearchAttributeKey('DeliveryStatus', KEYWORD),
  /** The account the delivery belongs to: `acc_…`. */
  accountId: defineSearchAttributeKey('AccountId', KEYWORD),
  /** The drone that holds the delivery's reservation now: `drn_…`; unset while there is none. */
  droneId: defineSearchAttributeKey('DroneId', KEYWORD),
  /** The home base of that drone. */
  baseId: defineSearchAttributeKey('BaseId', KEYWORD),
  /** Who flies or drives it: `drone` or `carrier`. */
  fulfilment: defineSearchAttributeKey('Fulfilment', KEYWORD),
  /** Why it failed; unset otherwise. */
  failureReason: defineSearchAttributeKey('FailureReason', KEYWORD),
  /** The caller's own reference for the delivery. */
  externalId: defineSearchAttributeKey('ExternalId', KEYWORD),
  /** `open` while a person has to decide something, else `none`. A keyword, because the bool columns are few. */
  hasIntervention: defineSearchAttributeKey('HasIntervention', KEYWORD),
  /** Dropoff no later than. */
  deliveryDeadline: defineSearchAttributeKey('DeliveryDeadline', DATETIME),
  /** Estimated arrival at the pickup, as of the last phase change. */
  pickupEta: defineSearchAttributeKey('PickupEta', DATETIME),
  /** Estimated arrival at the dropoff, as of the last phase change. */
  dropoffEta: defineSearchAttributeKey('DropoffEta', DATETIME),
  /** How many drones have been tried, the present one included. */
  attempt: defineSearchAttributeKey('Attempt', INT),
  /** 1 when expedited, else 0: what the dispatcher drains first. */
  priority: defineSearchAttributeKey('Priority', INT),
} as const;

/** The same keys as a list, for whoever creates or checks them. */
export const DELIVERY_SEARCH_ATTRIBUTE_LIST = Object.values(DELIVERY_SEARCH_ATTRIBUTES);

/** What a delivery's workflow is started with; whatever is not known yet is set by the workflow. */
export function startSearchAttributes(input: DeliveryInput): TypedSearchAttributes {
  const key = DELIVERY_SEARCH_ATTRIBUTES;
  return new TypedSearchAttributes([
    { key: key.deliveryStatus, value: 'created' },
    { key: key.accountId, value: input.accountId },
    { key: key.hasIntervention, value: 'none' },
    { key: key.attempt, value: 0 },
    { key: key.priority, value: input.expedited ? 1 : 0 },
    ...(input.externalId === null ? [] : [{ key: key.externalId, value: input.externalId }]),
    ...(input.deadline === null ? [] : [{ key: key.deliveryDeadline, value: new Date(input.deadline) }]),
  ]);
}

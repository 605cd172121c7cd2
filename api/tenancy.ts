/** Whose data a caller may see. What is another tenant's is told in the same words as what does not exist. */
import type { Principal } from '../services/account/contract/index.ts';
import type { Delivery, Intervention } from '../services/delivery/contract/index.ts';
import { notFound } from '../shared/errors.ts';
import type { AccountId } from '../shared/ids.ts';

interface Owned {
  account_id: AccountId;
  livemode: boolean;
}

/** An operator sees everything; a business what is its own, with a test key only what is test. */
export function mayRead(principal: Principal, { account_id, livemode }: Owned): boolean {
  return (
    principal.role === 'operator' ||
    (principal.role === 'business' && principal.account_id === account_id && principal.livemode === livemode)
  );
}

/** @throws {Problem} `not-found` when it is not the caller's. */
export function assertMayRead(principal: Principal, owned: Owned, what: string, id: string): void {
  if (!mayRead(principal, owned)) throw notFound(what, id);
}

/** The filter of a list that a caller may see. */
export function ownFilter(principal: Principal): { account_id?: AccountId; livemode?: boolean } {
  if (principal.role === 'operator') return {};
  return {
    ...(principal.account_id !== null && { account_id: principal.account_id }),
    livemode: principal.livemode,
  };
}

/** The delivery as this caller sees it: how interventions are settled, and by whom, is for operators. */
export function forViewer<D extends Delivery>(principal: Principal, delivery: D): D {
  if (principal.role === 'operator' || delivery.interventions.length === 0) return delivery;
  return { ...delivery, interventions: delivery.interventions.map(withoutInternals) };
}

function withoutInternals(intervention: Intervention): Intervention {
  const { resolution } = intervention;
  return {
    ...intervention,
    answers: [],
    resolution: resolution && { answer: resolution.answer, by: 'operator', why: '' },
  };
}

/** How a sound history is changed, so that a fault can be planted in it. */
import { expect } from 'vitest';
import type { Authorization } from '../../services/account/contract/index.ts';
import type { Delivery } from '../../services/delivery/contract/index.ts';
import type { AcceptedRequest, FaultKind, Order } from './history.ts';
import { type Planted, PRICE } from './kept-delivery.ts';

export interface Plant {
  name: string;
  plant: (history: Planted) => void;
  kind: FaultKind;
  /** The delivery; null: nobody's in particular. */
  of: string | null;
  says: RegExp;
}

export const delivery = (history: Planted, id: string) => history.deliveries.find((one) => one.id === id)!;
export const replace = <T>(items: T[], is: (item: T) => boolean, changes: Partial<T>) => {
  const index = items.findIndex(is);
  expect(index).toBeGreaterThanOrEqual(0);
  items[index] = { ...items[index]!, ...changes };
};
export const asked = (history: Planted, id: string, changes: Partial<AcceptedRequest>) => {
  replace(history.accepted, ({ answers }) => answers.includes(id), changes);
};
export const told = (history: Planted, id: string, ...orders: Order[]) => {
  asked(history, id, { orders });
};
/** Charges it so, everywhere alike: nothing but the tariff tells that it is wrong. */
export const charge = (history: Planted, id: string, amount: number, changes: Partial<Delivery> = {}) => {
  const isOurs = (one: Authorization) => one.delivery_id === id;
  const [first, ...raised] = history.authorizations.filter(isOurs);
  const rest = history.authorizations.filter((one) => !isOurs(one) || raised.includes(one));
  const captured = { ...PRICE, amount: Math.min(amount, PRICE.amount) };
  history.authorizations = [
    ...rest.map((one) =>
      raised.includes(one) && amount <= PRICE.amount
        ? { ...one, state: 'voided' as const, captured: null }
        : raised.includes(one)
          ? { ...one, captured: { ...PRICE, amount: amount - PRICE.amount } }
          : one,
    ),
    { ...first!, state: amount > 0 ? 'captured' : 'voided', captured: amount > 0 ? captured : null },
  ];
  replace(history.deliveries, (one) => one.id === id, { charge: { ...PRICE, amount }, ...changes });
};
/** Leaves an event out, or writes it twice, everywhere, so that only the numbers tell. */
export const inFeed = (history: Planted) =>
  (history.feed = (history.feed ?? []).map((one, index) => ({ ...one, position: index + 1 })));

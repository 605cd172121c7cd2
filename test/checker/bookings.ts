/** What is wrong with what carriers were asked to do. */
import type { Dossier } from './dossier.ts';
import { isEndedByHand } from './dossier.ts';

/** Never two carriers for one delivery, none that the account did not want or for more than it allows, and none left open. */
export function bookingFaults({ delivery, bookings, reservations, history }: Dossier): string[] {
  if (bookings.length === 0) {
    return delivery.fulfilment === 'carrier' ? ['a carrier took it, and none is booked'] : [];
  }
  const inOrder = bookings.toSorted((a, b) => Date.parse(a.created_at) - Date.parse(b.created_at));
  const hasTaken = inOrder.some(({ state }) => state === 'delivered');
  const preferences = history.accounts.find(({ id }) => id === delivery.account_id)?.preferences;
  const cap = preferences?.carrier_price_cap ?? delivery.price;
  return [
    ...inOrder.flatMap((one, index) => {
      const before = inOrder[index - 1];
      const endedMs =
        before === undefined ? -Infinity : before.ended_at === null ? Infinity : Date.parse(before.ended_at);
      return Date.parse(one.created_at) < endedMs
        ? [`two carriers were booked for it at once: ${before?.id ?? ''} and ${one.id}`]
        : [];
    }),
    ...inOrder
      .filter(({ ended_at }) => ended_at === null)
      .map(({ id, state }) => `its booking ${id} is still ${state}`),
    ...(preferences?.carrier_fallback === false
      ? ['a carrier was booked, which its account does not want']
      : []),
    ...inOrder
      .filter(({ price }) => price.amount > cap.amount || price.currency !== cap.currency)
      .map(({ price }) => `a carrier was booked for ${price.amount}, above the cap of ${cap.amount}`),
    ...(hasTaken && delivery.status === 'cancelled' ? ['it was cancelled, and a carrier delivered it'] : []),
    ...(delivery.fulfilment === 'carrier' &&
    delivery.status === 'delivered' &&
    !hasTaken &&
    !isEndedByHand(delivery)
      ? ['a carrier is said to have delivered it, and none says so']
      : []),
    ...(hasTaken && reservations.some(({ loading }) => loading === 'loaded')
      ? ['a carrier delivered it, and a drone loaded it']
      : []),
  ];
}

/**
 * What the services hold for deliveries: drones, places in the line, authorized money, registered packages, bookings. Read
 * through the services' contracts alone: what should be held is the saga's business, what is held is theirs.
 */
import type { ServiceClients } from '../activities/index.ts';
import type { Authorization } from '../services/account/contract/index.ts';
import type { Booking } from '../services/carrier/contract/index.ts';
import { type Delivery, isFinal } from '../services/delivery/contract/index.ts';
import type { Reservation, WaitingPlace } from '../services/drone/contract/index.ts';
import type { Package } from '../services/package/contract/index.ts';
import { Problem } from '../shared/errors.ts';
import { everyItem } from '../shared/every-item.ts';
import type { AccountId, DeliveryId, DroneId } from '../shared/ids.ts';
import type { Money } from '../shared/schemas.ts';

interface Held {
  id: string;
  /** The step that took it; undoing it names this key. */
  stepKey: string;
  deliveryId: DeliveryId;
  accountId: AccountId;
  since: string;
  /** In words, with its numbers; no personal data. */
  what: string;
}

/** `reservation`: a drone that has not been sent. `mission`: one that was, and is not homeward. */
export type Holding = Held &
  (
    | { kind: 'reservation' | 'mission'; droneId: DroneId; mayBeAboard: boolean }
    | { kind: 'authorization'; amount: Money }
    | { kind: 'waiting_place' | 'packages' | 'booking' }
  );

export type HoldingKind = Holding['kind'];

/** Of all deliveries, but for packages, which a delivered one keeps: see `heldPackages`. */
export async function openHoldings({ drone, account, carrier }: ServiceClients): Promise<Holding[]> {
  const [reservations, waiting, authorizations, bookings] = await Promise.all([
    everyItem((page) => drone.listReservations({ query: { ...page, open: true } })),
    everyItem((page) => drone.listWaiting({ query: page })),
    everyItem((page) => account.listAuthorizations({ query: { ...page, state: 'authorized' } })),
    everyItem((page) => carrier.listBookings({ query: { ...page, open: true } })),
  ]);
  return [
    ...reservations.flatMap(reservationHeld),
    ...waiting.map(waitingPlaceHeld),
    ...authorizations.map(authorizationHeld),
    ...bookings.map(bookingHeld),
  ];
}

/** The services that hold anything, and what each of them holds for one delivery now. */
const HELD_BY = {
  drone: async ({ drone }: ServiceClients, { id }: Known) => {
    const of = { delivery_id: id };
    const [reservations, waiting] = await Promise.all([
      everyItem((page) => drone.listReservations({ query: { ...page, ...of, open: true } })),
      everyItem((page) => drone.listWaiting({ query: { ...page, ...of } })),
    ]);
    return [...reservations.flatMap(reservationHeld), ...waiting.map(waitingPlaceHeld)];
  },
  account: async ({ account }: ServiceClients, { id: delivery_id }: Known) =>
    (
      await everyItem((page) =>
        account.listAuthorizations({ query: { ...page, delivery_id, state: 'authorized' } }),
      )
    ).map(authorizationHeld),
  carrier: async ({ carrier }: ServiceClients, { id: delivery_id }: Known) =>
    (await everyItem((page) => carrier.listBookings({ query: { ...page, delivery_id, open: true } }))).map(
      bookingHeld,
    ),
  package: (services: ServiceClients, delivery: Known) => heldPackages(services, [delivery]),
} satisfies Record<string, (services: ServiceClients, delivery: Known) => Promise<Holding[]>>;

/** A service that holds things for deliveries. */
export type Holder = keyof typeof HELD_BY;
const HOLDERS = Object.keys(HELD_BY) as Holder[];

/** Of one delivery, as of now. */
export async function holdingsOf(services: ServiceClients, delivery: Known): Promise<Holding[]> {
  return (await Promise.all(HOLDERS.map((one) => HELD_BY[one](services, delivery)))).flat();
}

/** The same of the services that answer; `unread`: those that do not. */
export async function holdingsAsFarAsKnown(
  services: ServiceClients,
  delivery: Known,
): Promise<{ held: Holding[]; unread: Holder[] }> {
  const answers = await Promise.all(
    HOLDERS.map((one) =>
      HELD_BY[one](services, delivery).catch((error: unknown) => {
        if (error instanceof Problem && error.retryable) return undefined;
        throw error;
      }),
    ),
  );
  return {
    held: answers.flatMap((held) => held ?? []),
    unread: HOLDERS.filter((_, index) => answers[index] === undefined),
  };
}

type Known = Pick<Delivery, 'id'> & { status: Delivery['status'] | null };

const ASKED_AT_ONCE = 100;

/** Packages that are registered for deliveries which have not carried them. */
export async function heldPackages(
  { package: packages }: ServiceClients,
  deliveries: readonly Known[],
): Promise<Holding[]> {
  const ids = deliveries
    .filter(
      ({ status }) => status === null || !(isFinal(status) && ['delivered', 'returned'].includes(status)),
    )
    .map(({ id }) => id);
  const steps = new Map<string, Package[]>();
  for (let from = 0; from < ids.length; from += ASKED_AT_ONCE) {
    const { data } = await packages.listRegistered({
      query: { delivery_id: ids.slice(from, from + ASKED_AT_ONCE) },
    });
    for (const one of data) steps.set(one.step_key, [...(steps.get(one.step_key) ?? []), one]);
  }
  return [...steps.values()].flatMap(packagesHeld);
}

function reservationHeld(one: Reservation): Holding[] {
  // A drone that only has to come home is held by nobody but the air.
  if (one.homeward) return [];
  const kind = one.state === 'held' ? 'reservation' : 'mission';
  const aboard = { none: '', barred: '', granted: ', may be loading', loaded: ', package aboard' }[
    one.loading
  ];
  return [
    {
      kind,
      ...whose(one),
      what: `drone ${one.drone_id} ${one.state}${aboard}`,
      droneId: one.drone_id,
      mayBeAboard: one.loading === 'loaded' || one.loading === 'granted',
    },
  ];
}

const waitingPlaceHeld = (one: WaitingPlace): Holding => ({
  kind: 'waiting_place',
  ...whose({ ...one, id: one.step_key, created_at: one.joined_at }),
  what: 'waits for a free drone',
});

const authorizationHeld = (one: Authorization): Holding => ({
  kind: 'authorization',
  ...whose(one),
  what: `${one.amount.amount} ${one.amount.currency} authorized`,
  amount: one.amount,
});

const bookingHeld = (one: Booking): Holding => ({
  kind: 'booking',
  ...whose(one),
  what: `with ${one.carrier}, ${one.state}`,
});

function packagesHeld(packages: Package[]): Holding[] {
  const [first] = packages;
  if (!first) return [];
  return [{ kind: 'packages', ...whose(first), what: `${packages.length} registered`, id: first.step_key }];
}

function whose(one: {
  id: string;
  step_key: string;
  delivery_id: DeliveryId;
  account_id: AccountId;
  created_at: string;
}): Omit<Held, 'what'> {
  return {
    id: one.id,
    stepKey: one.step_key,
    deliveryId: one.delivery_id,
    accountId: one.account_id,
    since: one.created_at,
  };
}

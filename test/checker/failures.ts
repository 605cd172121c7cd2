/**
 * Whether what failed may have failed so. No reason is believed: each has something that the services, the aircraft, or people
 * must have said for it, or a wait that must have been as long as it is said to be.
 */
import type { FailureReason } from '../../services/delivery/contract/index.ts';
import { timeMsOf } from '../../shared/clock.ts';
import { distanceM } from '../../shared/geodesy.ts';
import { answersOf, type Dossier, endOf, isTerminated, LET_GO_WITHIN_M } from './dossier.ts';

/** How long a delivery without a window waits for a drone, and a drone for its sender: what Fabrikam promises. */
const WAITS_FOR_A_DRONE_MS = 60 * 60_000;
const WAITS_FOR_ITS_SENDER_MS = 10 * 60_000;
/** Events and milestones are told in whole milliseconds, by two processes of one clock. */
const ROUNDING_MS = 1_000;
/** What is asked for within this part of what the fleet can do at best is not out of its range, whatever the wind. */
const WITHOUT_DOUBT = 0.5;

export function failureFaults(dossier: Dossier): string[] {
  const { delivery } = dossier;
  if (delivery.status !== 'failed') return [];
  // Without a reason: that is said elsewhere.
  if (delivery.failure_reason === null) return [];
  return [
    ...[...AGAINST[delivery.failure_reason](dossier), ...fallbackFaults(dossier)].map(
      (what) => `failed as ${delivery.failure_reason}: ${what}`,
    ),
    ...(isTerminated(dossier) ? [] : [...aboardFaults(dossier), ...letGoFaults(dossier)]),
  ];
}

/** What no drone does a carrier does, if the account takes one. */
const FOR_WANT_OF_A_DRONE: ReadonlySet<FailureReason> = new Set([
  'payload_too_heavy',
  'out_of_range',
  'no_drone_available',
  'drone_lost',
]);

function fallbackFaults({ delivery, history }: Dossier): string[] {
  const { failure_reason: reason, account_id: accountId } = delivery;
  if (reason === null || !FOR_WANT_OF_A_DRONE.has(reason)) return [];
  const account = history.accounts.find(({ id }) => id === accountId);
  return account?.preferences.carrier_fallback === true ? ['its account takes a carrier then'] : [];
}

/** What had been loaded does not just fail: somebody has given it up for lost. */
function aboardFaults({ delivery, reservations, milestones, events }: Dossier): string[] {
  if (delivery.failure_reason === 'package_lost') return [];
  const by =
    reservations.find(({ loading }) => loading === 'loaded')?.drone_id ??
    milestones.find(({ kind }) => kind === 'loaded')?.droneId ??
    (events.some(({ status }) => status === 'picked_up') ? 'its carrier' : undefined);
  return by === undefined
    ? []
    : [`failed as ${delivery.failure_reason ?? 'nothing'}, and ${by} had taken it aboard`];
}

/** What was handed over has not failed, unless it was given up before. */
function letGoFaults({ delivery, milestones, bookings }: Dossier): string[] {
  const givenUpMs = Math.min(...lostAt({ delivery }));
  const release = milestones.find(
    ({ kind, position }) =>
      kind === 'released' &&
      position !== null &&
      distanceM(position, delivery.dropoff.location) <= LET_GO_WITHIN_M,
  );
  const byCarrier = bookings.find(({ state }) => state === 'delivered');
  const letGo: [by: string, at: string | null | undefined][] = [
    [release?.droneId ?? '', release?.occurredAt],
    [byCarrier?.carrier ?? 'its carrier', byCarrier?.ended_at],
  ];
  return letGo.flatMap(([by, at]) =>
    typeof at === 'string' && timeMsOf(at) < givenUpMs ? [`it failed, and ${by} had delivered it`] : [],
  );
}

/** When people said that it is lost, Unix milliseconds. */
function lostAt({ delivery }: Pick<Dossier, 'delivery'>): number[] {
  return answersOf(delivery).flatMap(({ answer, atMs }) => (answer === 'lost' ? [atMs] : []));
}

/** For each reason, what speaks against it. */
const AGAINST: Readonly<Record<FailureReason, (dossier: Dossier) => string[]>> = {
  step_failed: () => ['no step may fail for good'],
  aborted: () => ['an abort ends it as cancelled or returned'],
  account_unknown: ({ delivery, history }) =>
    history.accounts.some(({ id }) => id === delivery.account_id) ? ['its account is known'] : [],
  account_suspended: (dossier) => accountFaults(dossier, 'suspended'),
  account_closed: (dossier) => accountFaults(dossier, 'closed'),
  credit_exceeded: creditFaults,
  payload_too_heavy: ({ delivery, history: { limits } }) => {
    const weightKg = delivery.packages.reduce((sum, one) => sum + one.weight_kg, 0);
    // Several may be too big for one bay, although each fits and none is too heavy.
    const mayBe = weightKg > limits.max_payload_kg || delivery.packages.length > 1;
    return mayBe ? [] : [`the fleet carries ${limits.max_payload_kg} kg, and it weighs ${weightKg}`];
  },
  out_of_range: rangeFaults,
  no_drone_available: (dossier) => {
    const { pickup_window: window, deadline } = dossier.delivery;
    const isBounded = window !== null || deadline !== null;
    return isBounded ? windowFaults(dossier) : waitFaults(dossier);
  },
  drone_lost: (dossier) => [
    // One that could not be sent in time counts too, and has nothing to say of it.
    ...(dossier.reservations.length > 0 ? [] : ['it never had one']),
    ...windowFaults(dossier),
  ],
  carrier_unavailable: carrierFaults,
  carrier_failed: (dossier) => {
    const { delivery, bookings } = dossier;
    const gaveUp = bookings.some(({ state }) => state === 'failed');
    const isGivenUp = lostAt({ delivery }).length > 0 && bookings.some(({ state }) => state === 'cancelled');
    return gaveUp || isGivenUp ? [] : ['no carrier gave it up'];
  },
  sender_absent: absenceFaults,
  // That its drone came after it, its charge depends on.
  pickup_window_missed: ({ delivery }) =>
    delivery.pickup_window === null ? ['it has no pickup window'] : [],
  package_lost: ({ delivery, reservations, events }) => [
    ...(lostAt({ delivery }).length > 0 ? [] : ['nobody has given it up for lost']),
    ...(reservations.some(({ loading }) => loading === 'loaded') ||
    events.some(({ status }) => status === 'picked_up')
      ? []
      : ['nobody had picked it up']),
  ],
  workflow_terminated: (dossier) =>
    dossier.asked.orders === undefined || isTerminated(dossier) ? [] : ['nobody terminated it'],
};

function accountFaults({ delivery, history }: Dossier, state: 'suspended' | 'closed'): string[] {
  const account = history.accounts.find(({ id }) => id === delivery.account_id);
  return account?.state === state ? [] : [`its account is ${account?.state ?? 'unknown'}`];
}

/** Even if all that the account ever used had been set aside at the same moment, there would have been enough for it. */
function creditFaults({ delivery, everAuthorized, history }: Dossier): string[] {
  const limit = history.accounts.find(({ id }) => id === delivery.account_id)?.credit_limit.amount ?? 0;
  return everAuthorized + delivery.price.amount <= limit
    ? [`its account has ${limit}, and never used more than ${everAuthorized}`]
    : [];
}

function rangeFaults({ delivery, history: { limits } }: Dossier): string[] {
  const { pickup, dropoff } = delivery;
  const fromBaseM = Math.min(...limits.bases.map(({ location }) => distanceM(location, pickup.location)));
  const flownM = fromBaseM + distanceM(pickup.location, dropoff.location);
  return flownM < limits.max_distance_m * WITHOUT_DOUBT
    ? [
        `it is ${Math.round(flownM)} m by way of its pickup, and the fleet flies ${Math.round(limits.max_distance_m)}`,
      ]
    : [];
}

/** Said to have waited for a drone in vain: from when it looked for this one until the hour was over. */
function waitFaults(dossier: Dossier): string[] {
  const { events, authorizations } = dossier;
  const end = endOf(dossier);
  const endedAt = end === undefined ? -1 : events.indexOf(end);
  const waited =
    events.slice(0, Math.max(0, endedAt)).findLastIndex(({ status }) => status !== 'awaiting_drone') + 1;
  const [before, first] = [events[waited - 1], events[waited]];
  if (end === undefined || first?.status !== 'awaiting_drone') return ['it never waited for one'];
  // Without a drone before it looked for one as soon as its price was authorized, and waits since the first answer that none is free.
  const hadDrone = before !== undefined && !['created', 'scheduled'].includes(before.status);
  const sinceMs = hadDrone
    ? timeMsOf(first.occurred_at)
    : Math.max(
        timeMsOf(before?.occurred_at ?? first.occurred_at),
        Math.min(...authorizations.map(({ created_at }) => timeMsOf(created_at))),
      );
  const waitedMs = timeMsOf(end.occurred_at) - sinceMs;
  return waitedMs + ROUNDING_MS < WAITS_FOR_A_DRONE_MS
    ? [`it waited ${seconds(waitedMs)} s for one, and not ${seconds(WAITS_FOR_A_DRONE_MS)}`]
    : [];
}

/** Given up before its window, or the time until its deadline, was over. */
function windowFaults(dossier: Dossier): string[] {
  const { pickup_window: window, deadline } = dossier.delivery;
  const end = endOf(dossier);
  const untilMs = Math.min(
    window === null ? Number.POSITIVE_INFINITY : timeMsOf(window.end),
    deadline === null ? Number.POSITIVE_INFINITY : timeMsOf(deadline),
  );
  if (end === undefined || untilMs === Number.POSITIVE_INFINITY) return ['it had all the time there is'];
  const leftMs = untilMs - timeMsOf(end.occurred_at);
  return leftMs > ROUNDING_MS ? [`there were ${seconds(leftMs)} s left`] : [];
}

function carrierFaults({ delivery, bookings, carrierAnswers, history }: Dossier): string[] {
  const preferences = history.accounts.find(({ id }) => id === delivery.account_id)?.preferences;
  const cap = preferences?.carrier_price_cap?.amount ?? delivery.price.amount;
  const isRefused = carrierAnswers.some(
    ({ outcome, amount }) => outcome !== 'quoted' || (amount !== null && amount > cap),
  );
  return [
    ...(preferences?.carrier_fallback === true ? [] : ['its account wants none']),
    ...(bookings.length > 0 ? [`${bookings[0]?.carrier ?? 'one'} was booked`] : []),
    ...(isRefused ? [] : ['none refused it, nor asked too much']),
  ];
}

/** Said to have kept a drone waiting: one must have stood there for ten minutes, within the window, with nothing loaded. */
function absenceFaults(dossier: Dossier): string[] {
  const { delivery, reservations, milestones } = dossier;
  const end = endOf(dossier);
  const last = reservations.at(-1);
  const arrived = milestones.findLast(
    ({ kind, reservationId }) => kind === 'arrived_at_pickup' && reservationId === last?.id,
  );
  if (end === undefined || arrived === undefined) return ['no drone had come'];
  const sinceMs = Math.max(
    timeMsOf(arrived.occurredAt),
    delivery.pickup_window === null ? 0 : timeMsOf(delivery.pickup_window.start),
  );
  const waitedMs = timeMsOf(end.occurred_at) - sinceMs;
  return waitedMs + ROUNDING_MS < WAITS_FOR_ITS_SENDER_MS
    ? [`its drone waited ${seconds(waitedMs)} s, and not ${seconds(WAITS_FOR_ITS_SENDER_MS)}`]
    : [];
}

const seconds = (ms: number) => Math.round(ms / 1_000);

/** Reads every service of a stack, the drone service's flights and Temporal: the data that the judge judges. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Client as TemporalClient, type WorkflowExecutionInfo } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { temporalCarriers } from '../../audit/carriers.ts';
import { findOrphans } from '../../audit/orphans.ts';
import { whatIsHeld } from '../../local/held.ts';
import { DATABASE_NAME, withClient, withDatabase } from '../../prisma/provision.ts';
import { everyItem, type ServiceClients } from '../../local/service-clients.ts';
import type { DeliveryEvent } from '../../services/delivery/contract/index.ts';
import { Problem } from '../../shared/errors.ts';
import { type DeliveryId, isId } from '../../shared/ids.ts';
import type {
  AcceptedRequest,
  CarrierAnswer,
  FlownMilestone,
  History,
  Proof,
  SeenAboard,
  Subscriber,
  WorkflowRun,
} from './history.ts';

export interface Collected {
  services: ServiceClients;
  /** Without it no workflow is looked at, and nothing audited. */
  temporal?: TemporalClient;
  /** The superuser's: missions, milestones that no workflow is told of, proofs and carriers' refusals are in no contract. */
  postgresUrl: string;
  accepted: readonly AcceptedRequest[];
  subscribers?: readonly Subscriber[];
  seenAboard?: readonly SeenAboard[];
  /** Told of what is read, in words for a person. */
  onProgress?: (what: string) => void;
}

/** Calls under way at once. */
const AT_ONCE = 16;
const FEED_PAGE = 1000;
const TRIES = 5;
const AGAIN_AFTER_MS = 1_000;

/** @throws Problem when a service does not answer: what could not be read is not judged. */
export async function collect(what: Collected): Promise<History> {
  const { services, temporal, accepted } = what;
  const acceptedIds = accepted.flatMap(({ answers }) => answers);
  const [
    deliveries,
    reservations,
    accounts,
    authorizations,
    creditNotes,
    bookings,
    feed,
    held,
    limits,
    audit,
    workflows,
    inTables,
  ] = await Promise.all([
    everyItem((page) => patiently(() => services.delivery.listDeliveries({ query: page }))),
    everyItem((page) => patiently(() => services.drone.listReservations({ query: page }))),
    everyItem((page) => patiently(() => services.account.listAccounts({ query: page }))),
    everyItem((page) => patiently(() => services.account.listAuthorizations({ query: page }))),
    everyItem((page) => patiently(() => services.account.listCreditNotes({ query: page }))),
    everyItem((page) => patiently(() => services.carrier.listBookings({ query: page }))),
    wholeFeed(services),
    patiently(() => whatIsHeld(services)),
    patiently(() => services.drone.limits({})),
    temporal && patiently(() => findOrphans(services, temporalCarriers(temporal))),
    temporal && workflowsOf(temporal, acceptedIds),
    inTablesOf(what.postgresUrl),
  ]);
  // What was accepted and is not in the list is looked for by its id too.
  const ids = [...new Set([...deliveries.map(({ id }) => id), ...acceptedIds])];
  what.onProgress?.(`${ids.length} deliveries, ${feed.length} events in the feed; now each one's events`);
  const perDelivery = await mapSome(ids as DeliveryId[], async (id) => ({
    events: await eventsOf(services, id),
    packages: (await patiently(() => services.package.listPackages({ query: { delivery_id: id } }))).data,
  }));
  return {
    accepted,
    deliveries,
    events: perDelivery.flatMap(({ events }) => events),
    feed,
    subscribers: what.subscribers ?? [],
    reservations,
    ...inTables,
    limits,
    seenAboard: what.seenAboard ?? [],
    accounts,
    authorizations,
    creditNotes,
    bookings,
    packages: perDelivery.flatMap(({ packages }) => packages),
    ...(workflows && { workflows }),
    held,
    ...(audit && { audit }),
  };
}

async function eventsOf(services: ServiceClients, id: DeliveryId): Promise<DeliveryEvent[]> {
  try {
    return await everyItem((page) =>
      patiently(() => services.delivery.listEvents({ params: { delivery_id: id }, query: page })),
    );
  } catch (error) {
    // A lost delivery has no events: the judge says that it is lost.
    if (error instanceof Problem && error.slug === 'not-found') return [];
    throw error;
  }
}

async function wholeFeed({ delivery }: ServiceClients): Promise<NonNullable<History['feed']>> {
  const feed: { position: number; deliveryId: string; sequence: number }[] = [];
  for (;;) {
    const after = feed.at(-1)?.position ?? 0;
    const { entries } = await patiently(() => delivery.readFeed({ query: { after, limit: FEED_PAGE } }));
    if (entries.length === 0) return feed;
    for (const { position, event } of entries) {
      feed.push({ position, deliveryId: event.delivery_id, sequence: event.sequence });
    }
  }
}

/** Every run that Temporal lists; what its list, which lags a little, does not have or calls open is asked for by id. */
async function workflowsOf(temporal: TemporalClient, accepted: readonly string[]): Promise<WorkflowRun[]> {
  const runs = new Map<string, WorkflowRun>();
  const keep = ({
    workflowId,
    runId,
    status,
  }: Pick<WorkflowExecutionInfo, 'workflowId' | 'runId' | 'status'>) => {
    if (!isId('delivery', workflowId)) return;
    runs.set(`${workflowId}/${runId}`, { workflowId, runId, deliveryId: workflowId, status: status.name });
  };
  for await (const run of temporal.workflow.list()) keep(run);
  const listed = new Set([...runs.values()].map(({ workflowId }) => workflowId));
  const unsure: { workflowId: string; runId?: string }[] = [
    ...accepted.filter((id) => !listed.has(id)).map((workflowId) => ({ workflowId })),
    ...[...runs.values()].filter(({ status }) => status === 'RUNNING'),
  ];
  await mapSome(unsure, async ({ workflowId, runId }) => {
    try {
      keep(await temporal.workflow.getHandle(workflowId, runId).describe());
    } catch (error) {
      // Never started, or cancelled before its start: the judge knows which of them is right.
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }
  });
  return [...runs.values()];
}

async function inTablesOf(
  postgresUrl: string,
): Promise<Pick<History, 'dispatched' | 'milestones' | 'proofs' | 'carrierAnswers'>> {
  return withClient(withDatabase(postgresUrl, DATABASE_NAME), async (client) => {
    const dispatched = await client.query<{ id: string }>(
      'SELECT id FROM drone.reservations WHERE mission_id IS NOT NULL',
    );
    const milestones = await client.query<FlownMilestone>(
      `SELECT reservation_id AS "reservationId", drone_id AS "droneId", delivery_id AS "deliveryId", kind,
              ${utc('occurred_at')} AS "occurredAt", detail, aircraft_sequence IS NOT NULL AS "byAircraft",
              CASE WHEN latitude IS NULL OR longitude IS NULL THEN NULL
                   ELSE json_build_object('latitude', latitude, 'longitude', longitude) END AS position
       FROM drone.milestones ORDER BY id`,
    );
    const proofs = await client.query<Proof>(
      `SELECT delivery_id AS "deliveryId", kind, ${utc('confirmed_at')} AS "confirmedAt" FROM delivery.confirmations`,
    );
    const carrierAnswers = await client.query<CarrierAnswer>(
      `SELECT delivery_id AS "deliveryId", amount::float8 AS amount,
              CASE outcome WHEN 'refused' THEN 'quote_refused' ELSE outcome END AS outcome FROM carrier.quote
       UNION ALL
       SELECT delivery_id, NULL, 'booking_refused' FROM carrier.booking WHERE state = 'refused'`,
    );
    return {
      dispatched: new Set(dispatched.rows.map(({ id }) => id)),
      milestones: milestones.rows,
      proofs: proofs.rows,
      carrierAnswers: carrierAnswers.rows,
    };
  });
}

/** A timestamp as RFC 3339. */
const utc = (column: string) => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/** One answer that is late must not lose what took hours: a few tries, as far as they may help. */
async function patiently<T>(read: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof Problem) || !error.retryable || tries === TRIES) throw error;
      await delay(AGAIN_AFTER_MS);
    }
  }
}

/** `map` with a bound on what goes on at once, in the order of the items. */
async function mapSome<T, R>(items: readonly T[], map: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const rest = items.entries();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const [index, item] of rest) results[index] = await map(item);
    }),
  );
  return results;
}

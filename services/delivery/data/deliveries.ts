/**
 * The read model and the event log, always written together and in one statement. A writer states the sequence number it
 * builds on: when another was faster nothing is written, and the caller looks again. No transaction is held open.
 */
import { isUniqueViolation } from '../../../prisma/client-options.ts';
import type { Prisma, PrismaClient } from '../../../prisma/delivery/generated/client.ts';
import { isoTime } from '../../../shared/clock.ts';
import { type DeliveryId, newId } from '../../../shared/ids.ts';
import type { Delivery, DeliveryStatus } from '../contract/index.ts';
import { type DeliveryState, type NumberedEvent, openInterventions } from '../domain/timeline.ts';
import type { Identity, Personal, RequestedImpersonal } from '../domain/view.ts';

/** A stored delivery, in its parts. */
export interface StoredDelivery {
  identity: Identity;
  impersonal: RequestedImpersonal;
  personal: Personal | null;
  state: DeliveryState;
}

/** What an append writes besides the events. */
export interface Append {
  identity: Pick<Identity, 'id' | 'account_id' | 'livemode'>;
  /** The last event there must be; otherwise nothing is written. */
  afterSequence: number;
  stepKey: string;
  recordedAt: string;
  events: readonly NumberedEvent[];
  /** Whose door the package goes to from now on; null: as before. */
  personalDropoff: Personal['dropoff'] | null;
}

/** What the append with some key answered. */
export interface AppendAnswer {
  first_sequence: number;
  last_sequence: number;
  status: DeliveryStatus;
}

export interface DeliveryFilter {
  account_id?: string;
  livemode?: boolean;
  status?: DeliveryStatus[];
  external_id?: string;
  drone_id?: string;
  complete?: boolean;
  has_intervention?: boolean;
  created_after?: Date;
  created_before?: Date;
}

/** Columns of a new event in the shape that `json_to_recordset` takes. */
function eventRows(events: readonly NumberedEvent[]): string {
  return JSON.stringify(
    events.map(({ sequence, type, status, occurredAt, data, state }) => ({
      sequence,
      id: newId('event'),
      type,
      status,
      occurred_at: occurredAt,
      data,
      state,
    })),
  );
}

/** A delivery with its first event. */
export interface NewDelivery extends StoredDelivery {
  event: NumberedEvent;
}

/** Writes deliveries, each with event 1, unless they are there. Answers the ids of those that it wrote. */
export async function insertDeliveries(
  database: PrismaClient,
  deliveries: readonly NewDelivery[],
): Promise<Set<DeliveryId>> {
  const rows = deliveries
    .map(({ identity, impersonal, personal, state, event }) => ({
      ...identity,
      requested: impersonal,
      personal,
      state,
      event_id: newId('event'),
      event_type: event.type,
      occurred_at: event.occurredAt,
      recorded_at: state.updated_at,
      data: event.data,
    }))
    // Two that write the same ones take turns instead of getting into a deadlock.
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  const written = await database.$queryRaw<{ id: DeliveryId }[]>`
    WITH given AS MATERIALIZED (
      SELECT * FROM json_to_recordset(${JSON.stringify(rows)}::json) AS delivery(id text, account_id text,
        livemode boolean, external_id text, created_at timestamptz, requested jsonb, personal jsonb, state jsonb,
        event_id text, event_type text, occurred_at timestamptz, recorded_at timestamptz, data jsonb)
    ), created AS (
      INSERT INTO deliveries (id, account_id, livemode, external_id, created_at, requested, personal, status,
        sequence, complete, open_interventions, state, updated_at)
      SELECT id, account_id, livemode, external_id, created_at, requested, personal, 'created', 1, false, 0, state,
        recorded_at
      FROM given ORDER BY id
      ON CONFLICT (id) DO NOTHING
      RETURNING id
    )
    INSERT INTO delivery_events (delivery_id, sequence, id, account_id, livemode, type, status, occurred_at,
      recorded_at, data, state)
    SELECT id, 1, event_id, account_id, livemode, event_type, 'created', occurred_at, recorded_at, data, state
    FROM created JOIN given USING (id)
    RETURNING delivery_id AS id`;
  return new Set(written.map((row) => row.id));
}

/**
 * Writes the events and the state after the last of them.
 * `overtaken`: another event was written since `afterSequence`. `repeated`: this step has written before.
 */
export async function appendToDelivery(
  database: PrismaClient,
  { identity, afterSequence, stepKey, recordedAt, events, personalDropoff }: Append,
): Promise<'written' | 'overtaken' | 'repeated'> {
  const state = events.at(-1)?.state;
  if (!state) throw new RangeError('An append has at least one event');
  try {
    const written = await database.$executeRaw`
      WITH changed AS (
        UPDATE deliveries SET status = ${state.status}, sequence = ${state.sequence}, drone_id = ${state.drone_id},
          complete = ${state.complete}, open_interventions = ${openInterventions(state)},
          state = ${JSON.stringify(state)}::jsonb,
          -- What has been erased stays so.
          personal = CASE WHEN ${personalDropoff === null} OR personal IS NULL THEN personal
            ELSE jsonb_set(personal, '{dropoff}', ${JSON.stringify(personalDropoff ?? {})}::jsonb) END,
          updated_at = ${recordedAt}::timestamptz
        WHERE id = ${identity.id} AND sequence = ${afterSequence}
        RETURNING id, account_id, livemode
      )
      INSERT INTO delivery_events (delivery_id, sequence, id, account_id, livemode, type, status, occurred_at,
        recorded_at, data, state, step_key, step_size)
      SELECT changed.id, event.sequence, event.id, changed.account_id, changed.livemode, event.type, event.status,
        event.occurred_at, ${recordedAt}::timestamptz, event.data, event.state,
        CASE WHEN event.sequence = ${afterSequence} + 1 THEN ${stepKey} END,
        CASE WHEN event.sequence = ${afterSequence} + 1 THEN ${events.length}::int END
      FROM changed, json_to_recordset(${eventRows(events)}::json) AS event(sequence int, id text, type text,
        status text, occurred_at timestamptz, data jsonb, state jsonb)
      ORDER BY event.sequence`;
    return written > 0 ? 'written' : 'overtaken';
  } catch (error) {
    if (isUniqueViolation(error, 'delivery_events_step')) return 'repeated';
    throw error;
  }
}

/** The state to build on, with what this step answered if it has written before; both as of one moment. */
export async function stateForAppend(
  database: PrismaClient,
  deliveryId: DeliveryId,
  stepKey: string,
): Promise<{ identity: Append['identity']; state: DeliveryState; answered: AppendAnswer | null } | null> {
  const rows = await database.$queryRaw<
    {
      account_id: Identity['account_id'];
      livemode: boolean;
      state: DeliveryState;
      first_sequence: number | null;
      last_sequence: number | null;
      status: DeliveryStatus | null;
    }[]
  >`
    SELECT delivery.account_id, delivery.livemode, delivery.state, first.sequence AS first_sequence,
      last.sequence AS last_sequence, last.status
    FROM deliveries delivery
    LEFT JOIN delivery_events first ON first.delivery_id = delivery.id AND first.step_key = ${stepKey}
    LEFT JOIN delivery_events last
      ON last.delivery_id = delivery.id AND last.sequence = first.sequence + first.step_size - 1
    WHERE delivery.id = ${deliveryId}`;
  const row = rows[0];
  if (!row) return null;
  const { account_id, livemode, state, first_sequence, last_sequence, status } = row;
  const answered =
    first_sequence === null || last_sequence === null || status === null
      ? null
      : { first_sequence, last_sequence, status };
  return { identity: { id: deliveryId, account_id, livemode }, state, answered };
}

/** The columns of a delivery that are shown. The documents were written by this service from values of their types. */
export interface DeliveryRow {
  id: string;
  accountId: string;
  livemode: boolean;
  externalId: string | null;
  createdAt: Date;
  requested: unknown;
  personal: unknown;
  state: unknown;
}
const SHOWN = {
  id: true,
  accountId: true,
  livemode: true,
  externalId: true,
  createdAt: true,
  requested: true,
  personal: true,
  state: true,
} satisfies Prisma.DeliverySelect;

export function storedDelivery(row: DeliveryRow): StoredDelivery {
  return {
    identity: {
      id: row.id as Delivery['id'],
      account_id: row.accountId as Delivery['account_id'],
      livemode: row.livemode,
      external_id: row.externalId,
      created_at: isoTime(row.createdAt.getTime()),
    },
    impersonal: row.requested as RequestedImpersonal,
    personal: row.personal as Personal | null,
    state: row.state as DeliveryState,
  };
}

export async function findDelivery(
  database: PrismaClient,
  id: DeliveryId,
): Promise<StoredDelivery | undefined> {
  const row = await database.delivery.findUnique({ where: { id }, select: SHOWN });
  return row ? storedDelivery(row) : undefined;
}

/** Newest first; at most `limit`. */
export async function findDeliveries(
  database: PrismaClient,
  filter: DeliveryFilter,
  { before, limit }: { before: DeliveryId | undefined; limit: number },
): Promise<StoredDelivery[]> {
  const rows = await database.delivery.findMany({
    select: SHOWN,
    where: whereOf(filter, before),
    orderBy: { id: 'desc' },
    take: limit,
  });
  return rows.map(storedDelivery);
}

function whereOf(filter: DeliveryFilter, before: DeliveryId | undefined): Prisma.DeliveryWhereInput {
  const { has_intervention: hasIntervention, created_after: after, created_before: until } = filter;
  return {
    ...(before !== undefined && { id: { lt: before } }),
    ...(filter.account_id !== undefined && { accountId: filter.account_id }),
    ...(filter.livemode !== undefined && { livemode: filter.livemode }),
    ...(filter.status !== undefined && { status: { in: filter.status } }),
    ...(filter.external_id !== undefined && { externalId: filter.external_id }),
    ...(filter.drone_id !== undefined && { droneId: filter.drone_id }),
    ...(filter.complete !== undefined && { complete: filter.complete }),
    ...(hasIntervention !== undefined && { openInterventions: hasIntervention ? { gt: 0 } : 0 }),
    ...((after || until) && {
      createdAt: { ...(after && { gt: after }), ...(until && { lt: until }) },
    }),
  };
}

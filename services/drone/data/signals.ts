/**
 * The outbox of milestone signals: a reservation owes its workflow the milestones from `signalled_sequence` to
 * `last_sequence`. One process at a time signals for a reservation, so that the order is kept.
 */
import { isoTime } from '../../../shared/clock.ts';
import type { DeliveryId, DroneId, ReservationId } from '../../../shared/ids.ts';
import type { Milestone, MilestoneKind } from '../contract/index.ts';
import type { Database } from './database.ts';

export interface Owing {
  reservationId: ReservationId;
  deliveryId: DeliveryId;
  signalledSequence: number;
  lastSequence: number;
}

/** Reservations that owe signals and that nobody else is signalling for; they are this process's until then. */
export async function claimOwing(
  database: Database,
  claim: { claimant: string; wall: Date; until: Date; limit: number },
): Promise<Owing[]> {
  const rows = await database.$queryRaw<
    { id: ReservationId; delivery_id: DeliveryId; signalled_sequence: number; last_sequence: number }[]
  >`
    UPDATE reservations r SET signal_claimed_by = ${claim.claimant}, signal_claimed_wall = ${claim.until}::timestamptz
    FROM (
      SELECT id FROM reservations
      WHERE signalled_sequence < last_sequence
        AND (signal_claimed_wall IS NULL OR signal_claimed_wall < ${claim.wall}::timestamptz)
      ORDER BY id LIMIT ${claim.limit} FOR UPDATE SKIP LOCKED
    ) owing
    WHERE r.id = owing.id
    RETURNING r.id, r.delivery_id, r.signalled_sequence, r.last_sequence`;
  return rows.map((row) => ({
    reservationId: row.id,
    deliveryId: row.delivery_id,
    signalledSequence: row.signalled_sequence,
    lastSequence: row.last_sequence,
  }));
}

/** Notes how far the workflow was told. The claim is kept while more is owed, unless this process gives up for now. */
export async function settleSignals(
  database: Database,
  reservationId: ReservationId,
  signalledSequence: number,
  claim: { claimant: string; giveUp: boolean },
): Promise<{ owesMore: boolean }> {
  const rows = await database.$queryRaw<{ owes_more: boolean }[]>`
    UPDATE reservations SET
      signalled_sequence = greatest(signalled_sequence, ${signalledSequence}),
      signal_claimed_wall = CASE
        WHEN signal_claimed_by = ${claim.claimant} AND (${claim.giveUp} OR last_sequence <= ${signalledSequence})
        THEN NULL ELSE signal_claimed_wall END
    WHERE id = ${reservationId}
    RETURNING signalled_sequence < last_sequence AND signal_claimed_by = ${claim.claimant} AS owes_more`;
  return { owesMore: rows[0]?.owes_more === true };
}

/** The signalled milestones of a reservation after a number, in order. */
export async function readMilestones(
  database: Database,
  reservationId: ReservationId,
  afterSequence: number,
): Promise<Milestone[]> {
  const rows = await database.milestone.findMany({
    where: { reservation_id: reservationId, sequence: { gt: afterSequence } },
    orderBy: { sequence: 'asc' },
  });
  return rows.flatMap((row) =>
    row.sequence === null
      ? []
      : [
          {
            sequence: row.sequence,
            kind: row.kind as MilestoneKind,
            reservation_id: row.reservation_id as ReservationId,
            reservation_token: row.reservation_token,
            drone_id: row.drone_id as DroneId,
            occurred_at: isoTime(row.occurred_at.getTime()),
            recorded_at: isoTime(row.recorded_at.getTime()),
            position:
              row.latitude === null || row.longitude === null
                ? null
                : { latitude: row.latitude, longitude: row.longitude },
            detail: row.detail as Record<string, unknown>,
          },
        ],
  );
}

/** What the aircraft told under this number before, if it did. */
export async function readToldMilestone(
  database: Database,
  reservationId: ReservationId,
  aircraftSequence: number,
): Promise<MilestoneKind | undefined> {
  const row = await database.milestone.findUnique({
    where: {
      reservation_id_aircraft_sequence: {
        reservation_id: reservationId,
        aircraft_sequence: aircraftSequence,
      },
    },
    select: { kind: true },
  });
  return row?.kind as MilestoneKind | undefined;
}

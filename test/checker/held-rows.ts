/**
 * What is still held for one delivery, read from every service's tables: no contract, no client and no workflow code has a say in
 * it. A drone on its way home counts as held, and says so.
 */
import pg from 'pg';
import type { Location } from '../../shared/schemas.ts';

export interface HeldRow {
  kind:
    | 'authorization'
    | 'packages'
    | 'reservation'
    | 'mission'
    | 'waiting_place'
    | 'drone'
    | 'booking'
    | 'carrier_job';
  id: string;
  /** The step that took it. */
  stepKey: string;
  what: string;
  /** A drone that only has to come home. */
  homeward: boolean;
}

export interface Charged {
  amount: number;
  /** By the read model: what the caller is told. */
  told: number | null;
}

const HELD = `
  SELECT 'authorization' AS kind, id, step_key AS "stepKey", state || ' ' || amount || ' ' || currency AS what,
         false AS homeward
    FROM account.credit_authorization
   WHERE delivery_id = $1 AND state NOT IN ('captured', 'voided', 'refused', 'never_authorized')
  UNION ALL
  SELECT 'packages', registration.id::text, step_key, registration.state, false
    FROM package.registration
    LEFT JOIN delivery.deliveries ON deliveries.id = registration.delivery_id
   WHERE delivery_id = $1 AND registration.state NOT IN ('void', 'never_registered')
     AND coalesce(deliveries.status, '') NOT IN ('delivered', 'returned')
  UNION ALL
  SELECT CASE WHEN mission_id IS NULL THEN 'reservation' ELSE 'mission' END, id, step_key,
         drone_id || ' ' || state || ' ' || phase, mission_id IS NOT NULL AND (job_done OR recalled_at IS NOT NULL)
    FROM drone.reservations
   WHERE delivery_id = $1 AND state NOT IN ('released', 'expired', 'ended')
  UNION ALL
  SELECT 'waiting_place', delivery_id, step_key, 'waits for a drone', false
    FROM drone.waiting_list
   WHERE delivery_id = $1
  UNION ALL
  SELECT 'drone', drones.id, coalesce(reservations.step_key, ''), drones.state,
         coalesce(job_done OR recalled_at IS NOT NULL, false)
    FROM drone.drones
    LEFT JOIN drone.reservations ON reservations.id = drones.reservation_id
   WHERE drones.delivery_id = $1 OR reservations.delivery_id = $1
  UNION ALL
  SELECT 'booking', id, step_key, state, false
    FROM carrier.booking
   WHERE delivery_id = $1 AND state NOT IN ('delivered', 'failed', 'cancelled', 'lost', 'refused', 'never_booked')
  UNION ALL
  SELECT 'carrier_job', reference, booking.step_key, 'reached ' || reached, false
    FROM carrier.simulated_job
    JOIN carrier.booking ON booking.id = simulated_job.reference
   WHERE booking.delivery_id = $1 AND simulated_job.cancelled_at IS NULL AND booking.state <> 'lost'
     AND reached < jsonb_array_length(itinerary)
   ORDER BY 3, 1, 2`;

const CHARGED = `
  SELECT coalesce((SELECT sum(captured) FROM account.credit_authorization WHERE delivery_id = $1), 0)::int AS amount,
         (SELECT (state -> 'charge' ->> 'amount')::int FROM delivery.deliveries WHERE id = $1) AS told`;

/** Two connections to a database that has the schemas of all services, by a role that may read them. */
export class Tables {
  readonly #pool: pg.Pool;

  constructor(url: string) {
    this.#pool = new pg.Pool({ connectionString: url, max: 2 });
  }

  /** In the order of their steps. */
  async heldFor(deliveryId: string): Promise<HeldRow[]> {
    // Named, so that it is planned once: it is asked at every step of many tests.
    const { rows } = await this.#pool.query<HeldRow>({ name: 'held', text: HELD, values: [deliveryId] });
    return rows;
  }

  /** What was captured for it, and what its read model says. */
  async chargedFor(deliveryId: string): Promise<Charged> {
    const { rows } = await this.#pool.query<Charged>(CHARGED, [deliveryId]);
    return rows[0] ?? { amount: 0, told: null };
  }

  /** Credit notes for it. */
  async creditNotesFor(deliveryId: string): Promise<number> {
    const { rows } = await this.#pool.query<{ notes: number }>(
      'SELECT count(*)::int AS notes FROM account.credit_note WHERE delivery_id = $1',
      [deliveryId],
    );
    return rows[0]?.notes ?? 0;
  }

  /** The steps that have offered its drone another dropoff, and are not undone. */
  async reroutesFor(deliveryId: string): Promise<string[]> {
    const { rows } = await this.#pool.query<{ key: string }>(
      'SELECT step_key AS key FROM drone.reroutes WHERE delivery_id = $1 AND answer IS NOT NULL AND undone_at IS NULL',
      [deliveryId],
    );
    return rows.map(({ key }) => key);
  }

  /** Where a drone let go of its package last; null when none did. */
  async setDownAt(deliveryId: string): Promise<Location | null> {
    const { rows } = await this.#pool.query<Location>(
      `SELECT latitude, longitude FROM drone.milestones
        WHERE delivery_id = $1 AND kind = 'released' AND latitude IS NOT NULL ORDER BY id DESC LIMIT 1`,
      [deliveryId],
    );
    return rows[0] ?? null;
  }

  close(): Promise<void> {
    return this.#pool.end();
  }
}

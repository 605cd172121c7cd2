/**
 * Services with a bug: what was undone before it was done leaves no trace, so that the call does what it says when it arrives late. By
 * what is written into their tables a moment before.
 */
import pg from 'pg';
import type { StepName } from '../../../workflows/delivery/registry.ts';

export interface Forgetful {
  activity: StepName;
  /** What undid it is forgotten. */
  sql: string;
  /** What the late call takes. */
  takes: string;
}

/** `$1` is the delivery. */
export const FORGETFUL: readonly Forgetful[] = [
  {
    activity: 'reserveDrone',
    sql: 'DELETE FROM drone.assignments WHERE delivery_id = $1',
    takes: 'reservation of reserve/1',
  },
  {
    activity: 'bookCarrier',
    sql: 'DELETE FROM carrier.booking WHERE delivery_id = $1',
    takes: 'booking of book/1',
  },
  {
    activity: 'dispatchDrone',
    sql: `
      WITH held AS (
        UPDATE drone.reservations SET state = 'held', loading = 'none', recalled_at = NULL, ended_at = NULL, end_reason = NULL
         WHERE delivery_id = $1
        RETURNING id, drone_id
      )
      UPDATE drone.drones SET state = 'held', reservation_id = held.id, delivery_id = $1 FROM held WHERE drones.id = held.drone_id`,
    takes: 'mission of reserve/1',
  },
];

export async function forget(databaseUrl: string, { sql }: Forgetful, deliveryId: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    // The database itself forbids some of it.
    await client.query("SET session_replication_role = 'replica'");
    const { rowCount } = await client.query(sql, [deliveryId]);
    if (rowCount !== 1) throw new Error(`${String(rowCount)} rows were forgotten instead of one`);
  } finally {
    await client.end();
  }
}

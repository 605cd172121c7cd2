/** What reroute steps were answered, and the tombstones of those that were undone before they ran. */
import { isoTime } from '../../../shared/clock.ts';
import type { DeliveryId } from '../../../shared/ids.ts';
import type { Location } from '../../../shared/schemas.ts';
import type { Database } from './database.ts';

export interface KeptReroute {
  deliveryId: DeliveryId;
  isUndone: boolean;
  /** Null: it was undone before it ran. */
  done: { before: Location; answer: Record<string, unknown> } | null;
}

export async function readReroute(database: Database, stepKey: string): Promise<KeptReroute | undefined> {
  const row = await database.reroute.findUnique({ where: { step_key: stepKey } });
  if (!row) return undefined;
  const { answer, before_latitude: latitude, before_longitude: longitude } = row;
  return {
    deliveryId: row.delivery_id as DeliveryId,
    isUndone: row.undone_at !== null,
    done:
      answer === null || latitude === null || longitude === null
        ? null
        : { before: { latitude, longitude }, answer: answer as Record<string, unknown> },
  };
}

/** Makes sure that a step which has not run never will. False: it has run, a moment ago. */
export async function barReroute(
  database: Database,
  stepKey: string,
  deliveryId: DeliveryId,
  now: Date,
): Promise<boolean> {
  const { count } = await database.reroute.createMany({
    data: [{ step_key: stepKey, delivery_id: deliveryId, decided_at: now, undone_at: now }],
    skipDuplicates: true,
  });
  return count > 0;
}

export async function markUndone(database: Database, stepKey: string, now: Date): Promise<void> {
  await database.$executeRaw`
    UPDATE reroutes SET undone_at = ${isoTime(now.getTime())}::timestamptz
    WHERE step_key = ${stepKey} AND undone_at IS NULL`;
}

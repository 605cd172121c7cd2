/** What is due by the clock: leases that end, and drones that have been silent for too long. */
import type { Logger } from '../../../shared/logger.ts';
import { Pump } from '../../../shared/pump.ts';
import { Prisma } from '../data/database.ts';
import { readFlight, readFlights } from '../data/flights.ts';
import { forgetTelemetry } from '../data/telemetry.ts';
import { expireLease } from '../domain/commands.ts';
import { loseLink, lostAtWallMs } from '../domain/link-loss.ts';
import type { Flight, Transition } from '../domain/reservation.ts';
import { type Engine, transact } from '../operations/engine.ts';

const ROUND_SIZE = 100;

export function createSweep(engine: Engine, logger: Logger, lookEveryMs: number): Pump {
  return new Pump({ name: 'sweep', logger, lookEveryMs, round: () => sweep(engine) });
}

async function sweep(engine: Engine): Promise<boolean> {
  const { database, catalog, listeningSinceMs, wall } = engine;
  const now = new Date(wall());
  const since = new Date(listeningSinceMs);
  const due = await readFlights(
    database,
    catalog,
    Prisma.sql`
      (r.state = 'held' AND r.lease_wall <= ${now}::timestamptz)
      OR (r.state = 'committed' AND r.link_lost_at IS NULL
        AND greatest(r.heard_wall, p.heard_wall, ${since}::timestamptz) + make_interval(secs => r.silence_ms / 1000)
          < ${now}::timestamptz)`,
    ROUND_SIZE,
  );
  for (const { reservation } of due) {
    await transact(
      engine,
      () => readFlight(database, catalog, reservation.id),
      (flight) => {
        const transition = overdue(engine, flight);
        if (transition) {
          const { id, deliveryId, droneId } = flight.reservation;
          const what = { reservation_id: id, delivery_id: deliveryId, drone_id: droneId };
          engine.logger.info(
            what,
            flight.reservation.state === 'held' ? 'the lease ended' : 'the link is lost',
          );
        }
        return { answer: null, transition };
      },
    );
  }
  return due.length === ROUND_SIZE;
}

/** Looked at again with fresh eyes: it may have been dispatched, or heard, in the meantime. */
function overdue({ listeningSinceMs, wall }: Engine, flight: Flight): Transition | null {
  const nowMs = wall();
  if (flight.reservation.state === 'held') return expireLease(flight, nowMs);
  return lostAtWallMs(flight, listeningSinceMs) < nowMs ? loseLink(flight, nowMs) : null;
}

const KEEP_TELEMETRY_MS = 7 * 24 * 60 * 60 * 1000;
const FORGET_EVERY_MS = 10 * 60 * 1000;

/** Forgets old telemetry, a bounded piece at a time. */
export function createTelemetryRetention({ database, clock }: Engine, logger: Logger): Pump {
  return new Pump({
    name: 'telemetry-retention',
    logger,
    lookEveryMs: FORGET_EVERY_MS,
    round: () => forgetTelemetry(database, new Date(clock.nowMs() - KEEP_TELEMETRY_MS)),
  });
}

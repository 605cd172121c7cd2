/**
 * Silence. A committed drone that has not been heard for longer than its timer is `lost`: quarantined, and before it has
 * loaded also barred, so that a replacement may fly although nobody knows where the first one is. Pure.
 */
import { type ClockSettings, wallDurationMs } from '../../../shared/clock.ts';
import { isNews } from './milestones.ts';
import { recallMission } from './missions.ts';
import { clockNow, type Flight, type NewMilestone, type Transition } from './reservation.ts';

export interface LinkLossRule {
  /** Seconds of the delivery's clock. */
  silenceS: number;
  /** On top of it, wall milliseconds: telemetry comes at the wall's pace however fast the delivery's clock runs. */
  telemetryIntervalMs: number;
}

export const DEFAULT_LINK_LOSS: LinkLossRule = { silenceS: 60, telemetryIntervalMs: 10_000 };

/** How long a drone on this clock may be silent, wall milliseconds. */
export function longestSilenceMs(clock: ClockSettings, rule: LinkLossRule): number {
  return wallDurationMs(clock, rule.silenceS * 1000) + rule.telemetryIntervalMs;
}

/** When the drone is lost unless it is heard before, wall milliseconds. Nobody could hear it before `listeningSinceMs`. */
export function lostAtWallMs({ reservation, drone }: Flight, listeningSinceMs: number): number {
  const heardMs = Math.max(
    listeningSinceMs,
    reservation.heardWall?.getTime() ?? 0,
    drone.heardWall?.getTime() ?? 0,
  );
  return heardMs + reservation.silenceMs;
}

/** The drone has gone silent. Null when that is known already, or it has nothing to lose any more. */
export function loseLink(flight: Flight, wallMs: number): Transition | null {
  const { reservation, drone } = flight;
  if (reservation.state !== 'committed' || reservation.linkLostAt !== null) return null;
  const now = clockNow(reservation, wallMs);
  const quarantined = {
    state: drone.state === 'grounded' ? 'grounded' : 'lost',
    reason: drone.state === 'grounded' ? drone.stateReason : 'link lost',
  } as const;
  const change = { linkLostAt: now };
  if (!isNews(reservation) || reservation.phase === 'down') return { change, drone: quarantined };
  const failed: NewMilestone = {
    kind: 'failed',
    occurredAt: now,
    position: drone.position,
    detail: {
      cause: 'link_lost',
      aboard: reservation.loading !== 'none',
      // It holds a load token and has not said what came of it.
      ...(reservation.loading === 'granted' && { aboard_certain: false }),
    },
    signalled: true,
    aircraftSequence: null,
  };
  const lost = { milestones: [failed], drone: quarantined };
  return reservation.loading === 'none'
    ? { change: { ...change, loading: 'barred' }, mission: recallMission(flight), ...lost }
    : { change, ...lost };
}

/**
 * The drone is heard again. With its package it is back on its delivery, and its timer runs anew; barred, it stays in
 * quarantine until it has landed empty.
 */
export function regainLink({ reservation, drone }: Flight): Transition | null {
  if (reservation.linkLostAt === null || drone.state !== 'lost') return null;
  if (reservation.loading === 'barred') return null;
  return {
    change: { linkLostAt: null },
    drone: { state: reservation.jobDone ? 'returning' : 'committed', reason: null },
  };
}

/** Step 4: the best drone, or the wait for one, or nobody: then the carrier takes over if it may. */
import type { FailureReason } from '../../services/delivery/contract/status.ts';
import { failed } from './endings.ts';
import type { DeliveryRun, DroneAssignment } from './run.ts';
import { plainStep } from './steps.ts';

/** No drone does it: why, for the carrier or, where none is allowed, for the failure. */
export interface Instead {
  reason: FailureReason;
  detail: string;
}

type Found = DroneAssignment | { by: 'carrier'; instead: Instead };

/**
 * Reserves a drone. None free: the delivery waits for one, until its deadline.
 * @throws {Ended} cancelled; failed, when no drone can do it and the account allows no carrier
 */
export async function findDrone(run: DeliveryRun): Promise<Found> {
  const { record, happenings, compensations, input, policy } = run;
  if (record.state.attempt >= policy.maxAttempts) {
    return instead(run, {
      reason: 'drone_lost',
      detail: `${policy.maxAttempts} drones failed one after the other.`,
    });
  }
  const giveUpAtMs = giveUpAt(run);
  let waitingSince: string | undefined;
  for (;;) {
    const reserveKey = record.key('reserve');
    const ordinal = reserveKey.slice(reserveKey.lastIndexOf('/') + 1);
    const release = `release_drone/${ordinal}`;
    compensations.register({
      name: release,
      leaves: 'A drone may still be reserved for it.',
      run: async () => {
        const undo = { key: record.key('release'), reserve_key: reserveKey, delivery_id: input.deliveryId };
        const reason = `delivery ${record.status}`;
        return (await plainStep('releaseDrone', { ...undo, reason }, 'undo: release the drone')).outcome;
      },
    });
    happenings.expectDrone();
    record.waiting('the drone service', null);
    const answer = await run.beforeDispatch(() =>
      plainStep(
        'reserveDrone',
        {
          key: reserveKey,
          ...run.ids,
          pickup: input.pickup.location,
          dropoff: input.dropoff.location,
          payload_kg: run.payloadKg,
          package_sizes: input.packages.map((one) => one.size),
          clock: input.clock,
          expedited: input.expedited,
          wait: true,
          exclude_drone_ids: run.failedDrones,
        },
        `reserve the best drone (try ${ordinal})`,
      ),
    );
    // An earlier refusal left nothing but a place on the waiting list, which this answer has replaced.
    if (waitingSince !== undefined) compensations.discharge(waitingSince);

    switch (answer.outcome) {
      case 'reserved':
        return {
          by: 'drone',
          reserveKey,
          release,
          recall: `recall_drone/${ordinal}`,
          reservationId: answer.reservation_id,
          reservationToken: answer.reservation_token,
          droneId: answer.drone_id,
          baseId: answer.base_id,
          pickupEtaMs: Date.parse(answer.eta.pickup_at),
          dropoffEtaMs: Date.parse(answer.eta.dropoff_at),
        };
      case 'infeasible':
        return instead(run, answer);
      case 'released':
        throw failed('step_failed', 'The reservation had been released before it was made.');
      case 'unavailable':
        waitingSince = release;
        if (record.status !== 'awaiting_drone') {
          await record.change('awaiting_drone', {
            patch: { delayed: true, delay_reason: 'no_drone' },
            data: { detail: answer.detail },
          });
          record.showPhase();
        }
    }

    const happening = await happenings.next('a free drone', giveUpAtMs);
    if (happening.kind === 'cancel') throw run.cancelled('cancelled_before_dispatch');
    if (happening.kind === 'deadline') {
      await compensations.undo(release);
      return instead(run, { reason: 'no_drone_available', detail: answer.detail });
    }
  }
}

/** Until when a free drone is worth waiting for. With a carrier to fall back on, early enough for it to make the deadline. */
function giveUpAt({ input, policy, authorized, record }: DeliveryRun): number {
  if (input.deadline === null) return record.nowMs() + policy.awaitDroneS * 1000;
  const carrierLeadMs = authorized?.preferences.carrier_fallback === true ? policy.carrierLeadS * 1000 : 0;
  return Date.parse(input.deadline) - carrierLeadMs;
}

/** The carrier takes over if the account allows one. @throws {Ended} failed, if not */
function instead(run: DeliveryRun, why: Instead): Found {
  if (run.authorized?.preferences.carrier_fallback !== true) throw failed(why.reason, why.detail);
  return { by: 'carrier', instead: { reason: why.reason, detail: why.detail } };
}

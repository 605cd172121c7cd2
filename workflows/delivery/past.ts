/**
 * What a delivery has behind it whose workflow was reset: the new run goes the same way again, by the answers that the services have
 * kept, until it is where the delivery was. Pure.
 */
import type { ToldReset } from '../../activities/reset.ts';
import {
  type DeliveryStatus,
  isBeforePickup,
  statusesBetween,
} from '../../services/delivery/contract/status.ts';
import type { DroneId } from '../../shared/ids.ts';
import type { ResolveInterventionCommand } from '../messages.ts';

/** How far a run has come. */
export interface Reached {
  status: DeliveryStatus;
  droneId: DroneId | null;
  /** The ordinal of its last reserve step. */
  reserves: number;
}

export class Past {
  readonly seen: ToldReset;
  private readonly answers: ResolveInterventionCommand[];

  constructor(seen: ToldReset) {
    this.seen = seen;
    this.answers = [...seen.resolved];
  }

  /** A carrier has the job: no drone is asked again. */
  get isByCarrier(): boolean {
    return this.seen.isByCarrier;
  }

  /** The delivery had come farther than this. */
  isBehind({ status, droneId, reserves }: Reached): boolean {
    const { delivery, isByCarrier } = this.seen;
    const known = delivery.status;
    if (status !== known) return !isLater(status, known);
    // The same status with an earlier drone, or none, is not there yet.
    const needsDrone = hasDrone(known) && delivery.drone_id !== null && !isByCarrier;
    return needsDrone && !(droneId === delivery.drone_id && reserves >= this.reserves);
  }

  /** A drone that was reserved by this step is none that the delivery had before. */
  isNewFlight(reserves: number): boolean {
    return reserves > this.reserves;
  }

  /** It stands in the line for a drone now, and did not when it was reset. */
  get hasLostItsDrone(): boolean {
    return this.seen.delivery.status !== 'awaiting_drone';
  }

  /** When a step has reserved a drone, Unix milliseconds by the delivery's clock; undefined: it has not, or not before. */
  reservedAtMs(reserveKey: string): number | undefined {
    const at = this.seen.reserved[reserveKey];
    return at === undefined ? undefined : Date.parse(at);
  }

  private get reserves(): number {
    const ordinals = Object.keys(this.seen.reserved).map((key) =>
      Number(key.slice(key.lastIndexOf('/') + 1)),
    );
    return Math.max(0, ...ordinals);
  }

  /** What a person has answered to this question before; each answer is given once. */
  takeAnswer(interventionId: string): ResolveInterventionCommand | undefined {
    const index = this.answers.findIndex((one) => one.interventionId === interventionId);
    return index < 0 ? undefined : this.answers.splice(index, 1)[0];
  }
}

const hasDrone = (status: DeliveryStatus) =>
  !isBeforePickup(status) ||
  status === 'confirmed' ||
  status === 'enroute_to_pickup' ||
  status === 'arrived_at_pickup';

/** It comes after the other one, and never before it. */
const isLater = (status: DeliveryStatus, than: DeliveryStatus) =>
  statusesBetween(than, status) !== undefined && statusesBetween(status, than) === undefined;

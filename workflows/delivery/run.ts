/** One delivery under way: its input, policy, record, compensations and happenings, as the saga's parts share them. */
import type { Preferences } from '../../services/account/contract/index.ts';
import { wallDurationMs } from '../../shared/clock.ts';
import type { Location, Money, PickupWindow, Stop } from '../../shared/schemas.ts';
import type { AuthorizationId, BaseId, DroneId, ReservationId } from '../../shared/ids.ts';
import type { ToldReset } from '../../activities/reset.ts';
import {
  nameOf,
  type DeliveryInput,
  type DeliveryPolicy,
  type ResolveInterventionCommand,
} from '../messages.ts';
import type { PendingAnswer } from './answers.ts';
import type { CarriedDelivery } from './carried.ts';
import { Compensations } from './compensation.ts';
import { type Ending, Ended } from './endings.ts';
import { HandledUpdates } from './handled.ts';
import { Happenings } from './happenings.ts';
import { NativeCancel } from './native-cancel.ts';
import { OrderLog } from './order-log.ts';
import { DEFAULT_POLICY } from './policy.ts';
import { DeliveryRecord } from './record.ts';
import { hasEndedElsewhere, Resets } from './resets.ts';
import { undoerOf } from './undo.ts';

/** The authorization that is captured, or voided, at the end. */
export interface Authorized {
  key: string;
  authorizationId: AuthorizationId;
  preferences: Preferences;
  /** RFC 3339; null: it does not run out. */
  expiresAt: string | null;
}

/** What was authorized beyond the first price. */
export interface Raise {
  key: string;
  amount: Money;
  /** The compensation that voids it. */
  compensation: string;
  /** RFC 3339; null: it does not run out. */
  expiresAt: string | null;
}

/** The wait for a free drone. */
export interface Awaiting {
  /** Unix milliseconds; undefined until it hears that none is free. */
  giveUpAtMs: number | undefined;
  /** The compensation that gives up its place in the line. */
  place: string | undefined;
}

export interface DroneAssignment {
  by: 'drone';
  reserveKey: string;
  /** Names of the compensations that give this drone back. */
  release: string;
  recall: string;
  reservationId: ReservationId;
  reservationToken: number;
  droneId: DroneId;
  baseId: BaseId;
  /** By the delivery's clock, Unix milliseconds. */
  pickupEtaMs: number;
  dropoffEtaMs: number;
  /** When it is sent: now, or in time for the pickup window. */
  takeOffAtMs: number;
}

/** A package that its drone has set down on the way, until another one has taken it up. Data: it is carried. */
export interface PackageOnGround {
  location: Location;
  /** Drones that were sent for it, since a person said so. */
  tries: number;
  /** Until when a free drone is waited for, Unix milliseconds by the delivery's clock; null: not waiting. */
  giveUpAtMs: number | null;
  /** The compensation that gives up its place in the line. */
  place: string | null;
  /** Why a person has to say how it goes on; null: another drone is to be found. */
  ask: string | null;
  /** The intervention that asks it. */
  question: string | null;
}

export const NEWLY_ON_GROUND: Omit<PackageOnGround, 'location'> = {
  tries: 0,
  giveUpAtMs: null,
  place: null,
  ask: null,
  question: null,
};

export class DeliveryRun {
  readonly input: DeliveryInput;
  readonly policy: DeliveryPolicy;
  readonly record: DeliveryRecord;
  readonly happenings: Happenings;
  readonly orderLog: OrderLog;
  readonly nativeCancel: NativeCancel;
  readonly compensations: Compensations;
  readonly handled: HandledUpdates;
  readonly resets: Resets;
  /** It goes on where an earlier run ended. */
  readonly resumed: boolean;
  authorized: Authorized | undefined;
  readonly raises: Raise[];
  /** The compensations of raises that were given up before, or after, they were made. Nothing is under way where a run goes on. */
  readonly givenUpRaises = new Set<string>();
  /** Where it goes, and what that costs: as asked for at the accept, until it is changed. */
  dropoff: Stop;
  price: Money;
  /** What the flight back costs, as far as it is authorized. */
  returnPrice: Money | null;
  /** When the sender hands it over; null: at once. */
  pickupWindow: PickupWindow | null;
  awaiting: Awaiting | undefined;
  /** Drones that failed on this delivery, or that an operator took from it: they are not asked again. */
  readonly failedDrones: DroneId[];
  /** Drones that an operator took from it: they do not count as failures. */
  reassignments: number;
  /** Drones, one after the other, that could not be dispatched and were not to blame: with each of them it waits longer for the next. */
  unsentInARow: number;
  /** Not null: no drone has the package, which lies there. */
  packageOnGround: PackageOnGround | null;

  /** @param carried what the run before knew, when this one goes on for it */
  constructor(input: DeliveryInput, carried?: CarriedDelivery) {
    this.input = input;
    this.resumed = carried !== undefined;
    this.authorized = carried?.authorized;
    this.raises = carried?.raises ?? [];
    this.dropoff = carried?.dropoff ?? input.dropoff;
    this.price = carried?.price ?? input.price;
    this.pickupWindow = carried ? carried.pickupWindow : (input.pickupWindow ?? null);
    this.awaiting = carried?.awaiting ?? undefined;
    this.failedDrones = carried?.failedDrones ?? [];
    this.reassignments = carried?.reassignments ?? 0;
    this.unsentInARow = carried?.unsentInARow ?? 0;
    this.returnPrice = carried?.returnPrice ?? null;
    this.packageOnGround = carried?.packageOnGround ?? null;
    this.handled = new HandledUpdates(carried?.handled);
    this.policy = { ...DEFAULT_POLICY, ...input.policy };
    this.record = new DeliveryRecord(input, carried?.record);
    this.orderLog = new OrderLog(this.record);
    this.nativeCancel = new NativeCancel(this.record, input.deliveryId);
    this.happenings = new Happenings(this.record, this.orderLog, carried?.happenings);
    this.resets = new Resets(this.record, (seen) => this.adopt(seen));
    this.record.onAnsweredBefore = (command) => void this.takeAnswer(command);
    const stuckMs = wallDurationMs(input.clock, this.policy.compensationStuckS * 1000);
    const undoer = undoerOf(input, this.record);
    this.compensations = new Compensations(this.record, stuckMs, undoer, carried?.compensations);
  }

  /** A person's answer: it is held for whoever the question is about, and settled by them. */
  takeAnswer(command: ResolveInterventionCommand): PendingAnswer {
    const pending = this.record.holdAnswer(command);
    if (this.record.isAboutJourney(command.interventionId)) this.happenings.interventionAnswered(pending);
    return pending;
  }

  /** All there is to know, for a run that goes on; undefined while something is in flight that cannot be carried. */
  carried(): CarriedDelivery | undefined {
    const happenings = this.happenings.carried();
    if (!happenings || !this.authorized) return undefined;
    return {
      record: this.record.carried(),
      happenings,
      compensations: this.compensations.carried(),
      handled: this.handled.carried(),
      authorized: this.authorized,
      raises: this.raises,
      dropoff: this.dropoff,
      price: this.price,
      pickupWindow: this.pickupWindow,
      awaiting: this.awaiting ?? null,
      failedDrones: this.failedDrones,
      reassignments: this.reassignments,
      unsentInARow: this.unsentInARow,
      returnPrice: this.returnPrice,
      packageOnGround: this.packageOnGround,
    };
  }

  /** Its workflow was reset: what people changed stands, and the rest is gone through again. */
  private async adopt(seen: ToldReset): Promise<void> {
    const { status, cancellation_reason, failure_reason, compensation, ...known } = seen.delivery;
    const { record, compensations, raises } = this;
    if (hasEndedElsewhere(seen, record)) {
      record.endedElsewhere({
        status,
        compensation,
        cancellationReason: cancellation_reason,
        failureReason: failure_reason,
        attempt: known.attempt,
      });
      return;
    }
    this.dropoff = known.dropoff;
    this.price = known.price;
    this.pickupWindow = known.pickup_window;
    this.returnPrice = known.return_price;
    // Those that it goes through again count themselves.
    record.repetition.onArrival = () => {
      this.reassignments = Math.max(this.reassignments, seen.reassignments);
    };
    for (const one of seen.failedDrones) if (!this.failedDrones.includes(one)) this.failedDrones.push(one);
    for (const { compensation: name } of raises.splice(0)) compensations.discharge(name);
    for (const { key, amount, expiresAt } of seen.raises) {
      const name = `void_reauthorization/${key.slice(key.lastIndexOf('/') + 1)}`;
      raises.push({ key, amount, expiresAt, compensation: name });
      compensations.register({
        name,
        leaves: `Another ${amount.amount} ${amount.currency} may still be authorized.`,
        undo: { kind: 'void_authorization', authorizeKey: key },
      });
    }
    await record.wasReset(seen);
    // Whatever it waits for is looked at anew.
    this.happenings.droneAvailable();
  }

  /** What every service wants to know of whom a step is for. */
  get ids() {
    const { accountId, deliveryId, livemode } = this.input;
    return { account_id: accountId, delivery_id: deliveryId, livemode };
  }

  get payloadKg(): number {
    return this.input.packages.reduce((sum, one) => sum + one.weight_kg, 0);
  }

  /** The ending that the pending cancel asked for. */
  cancelled(charged: Ending['charged']): Ended {
    const { cancelCommand: command, orders } = this.happenings;
    const { abortCommand } = orders;
    this.orderLog.tell(command);
    this.orderLog.tell(abortCommand);
    return new Ended({
      status: 'cancelled',
      charged,
      reason: command?.reason ?? 'other',
      command,
      // Somebody else may have cancelled it a moment before.
      ...(abortCommand &&
        abortCommand.actor !== command?.actor && {
          abort: { by: nameOf(abortCommand.actor), why: abortCommand.why },
        }),
    });
  }

  /** Runs a step before dispatch: a cancel interrupts it and ends the delivery. */
  async beforeDispatch<T>(step: () => Promise<T>): Promise<T> {
    const result = await this.happenings.interruptible(step, { byReassign: false });
    if (result === 'interrupted') throw this.cancelled('cancelled_before_dispatch');
    return result;
  }
}

/**
 * What is asked for after the accept: cancels, other windows and dropoffs by the sender; other drones, aborts by an operator;
 * and the workflow terminated by somebody in the Temporal UI. Each is repeated until it is answered, and its answer kept.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type Client as TemporalClient, WorkflowNotFoundError } from '@temporalio/client';
import {
  DELIVERY_STATUSES,
  type DeliveryEvent,
  type DeliveryStatus,
  isBeforePickup,
  isFinal,
} from '../../services/delivery/contract/index.ts';
import { timeMsOf, type Clock } from '../../shared/clock.ts';
import { messageOf, Problem } from '../../shared/errors.ts';
import { destination } from '../../shared/geodesy.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import type { PickupWindow } from '../../shared/schemas.ts';
import { deliveryWorkflowId } from '../../workflows/messages.ts';
import type { Order, Requested } from '../checker/index.ts';
import type { PublicApi } from '../e2e/traffic.ts';
import type { Careful } from './careful.ts';
import type { PlannedRequest } from './plan.ts';
import { windowIn } from './requests.ts';

const AGAIN_AFTER_MS = 500;
const WHY = 'chaos';
/** A window moved to an earlier time begins so soon, one moved to a later time so much later than it did, seconds. */
const EARLIER_IN_S = 3 * 60;
const LATER_BY_S = 5 * 60;
/** The other dropoff lies this far from the first. */
const ASIDE_M = 150;

/** One delivery, as whoever asks for something knows it. */
export interface Followed {
  planned: PlannedRequest;
  id: DeliveryId;
  requested: Requested;
  /** Of the account that posted it. */
  sender: PublicApi;
  /** What is asked for is added here, with its answer. */
  orders: Order[];
}

export interface FollowUpsOptions {
  operator: PublicApi;
  temporal: TemporalClient;
  clock: Clock;
  careful: Careful;
  giveUp: AbortSignal;
  onSurprise: (what: string) => void;
}

type Ask = (one: Followed) => Promise<Order>;
type Answer = Order['answer'];

export class FollowUps {
  readonly #options: FollowUpsOptions;
  readonly #waiting = new Map<string, { one: Followed; from: DeliveryStatus; ask: Ask }>();
  readonly #asking: Promise<void>[] = [];

  constructor(options: FollowUpsOptions) {
    this.#options = options;
  }

  /** Asks for what its kind is named after, now or once its delivery is so far. */
  async accepted(one: Followed): Promise<void> {
    const { kind, askedIn } = one.planned;
    if (kind === 'cancelled_at_once') {
      await this.#ask(one, this.#cancel);
      return;
    }
    const ask = {
      cancelled_in_flight: this.#cancel,
      carrier_cancelled: this.#cancel,
      rescheduled: this.#reschedule,
      dropoff_changed: this.#changeDropoff,
      reassigned: this.#reassign,
      aborted: this.#abort,
      terminated: this.#terminate,
    }[kind as string];
    if (ask) this.#waiting.set(one.id, { one, from: askedIn ?? 'scheduled', ask });
  }

  /** Told of each event of the feed. */
  onEvent({ delivery_id: id, status }: Pick<DeliveryEvent, 'delivery_id' | 'status'>): void {
    const waiting = this.#waiting.get(id);
    if (!waiting || orderOf(status) < orderOf(waiting.from)) return;
    this.#waiting.delete(id);
    const { one, ask } = waiting;
    // Where it has ended already, and where a cancel would come too late anyway, nothing is asked.
    if (isFinal(status) || (ask === this.#cancel && !isBeforePickup(status))) return;
    this.#asking.push(this.#ask(one, ask));
  }

  /** Everything that was asked for has its answer. */
  async answered(): Promise<void> {
    await Promise.all(this.#asking);
  }

  async #ask(one: Followed, ask: Ask): Promise<void> {
    try {
      one.orders.push(await ask(one));
    } catch (error) {
      this.#options.onSurprise(
        `what was asked for ${one.id} (${one.planned.kind}) was not answered as it may be: ${messageOf(error)}`,
      );
    }
  }

  readonly #cancel: Ask = async ({ id, sender }) => ({
    kind: 'cancel',
    answer: await this.#answerOf(
      () => sender.cancelDelivery({ params: { delivery_id: id }, body: {} }),
      ({ cancellation }) => (cancellation.outcome === 'cancelled' ? 'done' : 'pending'),
    ),
  });

  /** By their number some are moved to an earlier time, some to a later. */
  readonly #reschedule: Ask = async ({ id, sender, requested, planned: { number } }) => {
    const { clock } = this.#options;
    const toStartS = (timeMsOf(requested.pickupWindow?.start ?? '') - clock.nowMs()) / 1_000;
    const window = windowIn(number % 2 === 0 ? EARLIER_IN_S : Math.max(0, toStartS) + LATER_BY_S, clock);
    const answer = await this.#answerOf(
      () =>
        sender.changeDelivery(
          { params: { delivery_id: id }, body: { pickup_window: window, why: WHY } },
          { idempotencyKey: `chaos-${number}-window` },
        ),
      // A 202, and a repetition while the list lags behind, show the old one.
      ({ pickup_window: shown }) => (isWindow(shown, window) ? 'done' : 'pending'),
    );
    return { kind: 'reschedule', window, answer };
  };

  readonly #changeDropoff: Ask = async ({ id, sender, requested, planned: { number } }) => {
    const dropoff = destination(requested.dropoff, (number * 67) % 360, ASIDE_M);
    const answer = await this.#answerOf(
      () =>
        sender.changeDelivery(
          {
            params: { delivery_id: id },
            body: { dropoff: { location: dropoff, contact: { email: 'recipient@example.com' } }, why: WHY },
          },
          { idempotencyKey: `chaos-${number}-dropoff` },
        ),
      ({ dropoff: { location } }) =>
        location.latitude === dropoff.latitude && location.longitude === dropoff.longitude
          ? 'done'
          : 'pending',
    );
    return { kind: 'change_dropoff', dropoff, answer };
  };

  readonly #reassign: Ask = async ({ id, planned: { number } }) => ({
    kind: 'reassign',
    answer: await this.#answerOf(
      () =>
        this.#options.operator.reassignDrone(
          { params: { delivery_id: id }, body: { why: WHY } },
          { idempotencyKey: `chaos-${number}-reassign` },
        ),
      ({ outcome }) => (outcome === 'reassigning' ? 'done' : 'pending'),
    ),
  });

  readonly #abort: Ask = async ({ id, planned: { number } }) => {
    let returning = false;
    const answer = await this.#answerOf(
      () =>
        this.#options.operator.abortDelivery(
          { params: { delivery_id: id }, body: { why: WHY } },
          { idempotencyKey: `chaos-${number}-abort` },
        ),
      ({ outcome }) => {
        returning = outcome === 'returning';
        return outcome === 'pending' ? 'pending' : 'done';
      },
    );
    return { kind: 'abort', returning, answer };
  };

  readonly #terminate: Ask = async ({ id }) => {
    const { temporal, giveUp } = this.#options;
    const handle = temporal.workflow.getHandle(deliveryWorkflowId(id));
    let answer: Answer = 'unknown';
    for (let isFirst = true; !giveUp.aborted; isFirst = false) {
      try {
        await temporal.withDeadline(Date.now() + 5_000, () => handle.terminate(WHY));
        answer = 'done';
        break;
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) {
          // It had ended by itself; or by a termination whose answer was lost.
          if (isFirst) answer = 'refused';
          break;
        }
        await delay(AGAIN_AFTER_MS);
      }
    }
    return { kind: 'terminate', answer };
  };

  /** @throws {Problem} what nobody who asks for this may be answered */
  async #answerOf<T>(call: () => Promise<T>, read: (answer: T) => Answer): Promise<Answer> {
    try {
      return read(await this.#options.careful.untilAnswered(call));
    } catch (error) {
      // Too late, or it cannot be flown: the delivery goes on as it was.
      const isRefused = error instanceof Problem && ['conflict', 'unserviceable'].includes(error.slug);
      if (isRefused) return 'refused';
      if (error instanceof Problem && error.retryable) return 'unknown';
      throw error;
    }
  }
}

const orderOf = (status: DeliveryStatus): number => DELIVERY_STATUSES.indexOf(status);

const isWindow = (shown: PickupWindow | null, asked: PickupWindow): boolean =>
  shown !== null &&
  timeMsOf(shown.start) === timeMsOf(asked.start) &&
  timeMsOf(shown.end) === timeMsOf(asked.end);

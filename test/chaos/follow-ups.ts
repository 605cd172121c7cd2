/**
 * When something is asked for after the accept: at once, or when the delivery is as far as the plan says. Each is asked once, its
 * answer kept as soon as there is one.
 */
import {
  DELIVERY_STATUSES,
  type DeliveryEvent,
  type DeliveryStatus,
  isFinal,
} from '../../services/delivery/contract/index.ts';
import { isoTime } from '../../shared/clock.ts';
import { messageOf } from '../../shared/errors.ts';
import {
  abort,
  type AskOptions,
  type Asking,
  cancel,
  changeDropoff,
  changeDropoffTooFar,
  type Followed,
  reassign,
  reschedule,
} from './asks.ts';
import type { RequestKind } from './kinds.ts';
import { cancelNatively, reset, terminate, type ToTemporal } from './temporal-asks.ts';

export interface FollowUpsOptions extends AskOptions, ToTemporal {
  onSurprise: (what: string) => void;
}

export class FollowUps {
  readonly #options: FollowUpsOptions;
  readonly #askings: Partial<Record<RequestKind, Asking>>;
  readonly #waiting = new Map<string, { one: Followed; from: DeliveryStatus; asking: Asking }>();
  readonly #underWay = new Set<Promise<void>>();

  constructor(options: FollowUpsOptions) {
    this.#options = options;
    this.#askings = {
      cancelled_at_once: cancel,
      cancelled_in_flight: cancel,
      carrier_cancelled: cancel,
      rescheduled: reschedule,
      dropoff_changed: changeDropoff,
      dropoff_too_far: changeDropoffTooFar,
      reassigned: reassign,
      aborted: abort,
      terminated: terminate(options),
      native_cancelled: cancelNatively(options),
      reset: reset(options),
    };
  }

  /** Asks for what its kind is named after, now or once its delivery is so far. */
  async accepted(one: Followed): Promise<void> {
    const { kind, askedIn } = one.planned;
    const asking = this.#askings[kind];
    if (!asking) return;
    if (askedIn) this.#waiting.set(one.id, { one, from: askedIn, asking });
    else await this.#ask(one, asking, 'created');
  }

  /** Told of each event of the feed. */
  onEvent({ delivery_id: id, status }: Pick<DeliveryEvent, 'delivery_id' | 'status'>): void {
    const waiting = this.#waiting.get(id);
    if (!waiting || orderOf(status) < orderOf(waiting.from)) return;
    this.#waiting.delete(id);
    // Where it has ended already nothing is asked.
    if (isFinal(status)) return;
    const asked = this.#ask(waiting.one, waiting.asking, status).finally(() => this.#underWay.delete(asked));
    this.#underWay.add(asked);
  }

  /** Everything that was asked for has its answer. */
  async answered(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  async #ask(one: Followed, asking: Asking, askedIn: DeliveryStatus): Promise<void> {
    const { order, give } = asking(one, askedIn, this.#options);
    // Before there is an answer, so that what nobody hears of is known to have been asked for.
    one.orders.push(order);
    try {
      Object.assign(order, await give());
      order.answeredAt = isoTime(this.#options.clock.nowMs());
    } catch (error) {
      this.#options.onSurprise(
        `what was asked for ${one.id} (${one.planned.kind}) was not answered as it may be: ${messageOf(error)}`,
      );
    }
  }
}

const orderOf = (status: DeliveryStatus): number => DELIVERY_STATUSES.indexOf(status);

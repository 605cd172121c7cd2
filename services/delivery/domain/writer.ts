/** The two writes: a delivery with its first event, and more events with the state that follows from them. */
import { LRUCache } from 'lru-cache';
import type { PrismaClient } from '../../../prisma/delivery/generated/client.ts';
import { type Clock, isoTime } from '../../../shared/clock.ts';
import { conflict, notFound, Problem } from '../../../shared/errors.ts';
import type { DeliveryId } from '../../../shared/ids.ts';
import type { DeliveryCreation, NewDeliveryEvent } from '../contract/index.ts';
import {
  type AppendAnswer,
  appendToDelivery,
  findDelivery,
  insertDeliveries,
  type NewDelivery,
  stateForAppend,
  type StoredDelivery,
} from '../data/deliveries.ts';
import { advance, createdEvent, type DeliveryState, type NumberedEvent } from './timeline.ts';
import { type Identity, partsOf, type Personal } from './view.ts';

/** About a kilobyte each. More deliveries than this in flight only cost a read before a write. */
const MAX_REMEMBERED = 5_000;

/** Each time, somebody else's append has succeeded in between. */
const MAX_TRIES = 100;

interface Remembered {
  identity: Pick<Identity, 'id' | 'account_id' | 'livemode'>;
  state: DeliveryState;
}

export class DeliveryWriter {
  readonly #database: PrismaClient;
  readonly #clock: Clock;
  readonly #onWritten: () => void;
  /**
   * What this process last knew of a delivery, so that an append is one statement. It is never trusted: the statement
   * writes only on top of exactly this state.
   */
  readonly #remembered = new LRUCache<DeliveryId, Remembered>({ max: MAX_REMEMBERED });

  /** @param onWritten called after each write that added events */
  constructor(database: PrismaClient, clock: Clock, onWritten: () => void) {
    this.#database = database;
    this.#clock = clock;
    this.#onWritten = onWritten;
  }

  /**
   * Writes the delivery and event 1; a repetition answers the delivery as it is by now.
   * @throws {Problem} 409 `id_taken` when another account's delivery has this id
   */
  async create(creation: DeliveryCreation): Promise<StoredDelivery> {
    const [created] = await this.#insert([creation]);
    if (created) return created;
    const present = await findDelivery(this.#database, creation.id);
    if (present?.identity.account_id !== creation.account_id)
      throw conflict('id_taken', `${creation.id} is the id of another delivery.`);
    return present;
  }

  /** Writes those that are not there, each with event 1, and answers their ids. */
  async createMany(creations: readonly DeliveryCreation[]): Promise<DeliveryId[]> {
    return (await this.#insert(creations)).map(({ identity }) => identity.id);
  }

  /** Answers those that it wrote. */
  async #insert(creations: readonly DeliveryCreation[]): Promise<StoredDelivery[]> {
    const recordedAt = isoTime(this.#clock.nowMs());
    const deliveries = creations.map((creation): NewDelivery => {
      const { eta: _eta, pickup_window: _window, ...requested } = creation;
      const event = createdEvent(creation, recordedAt);
      return { ...partsOf({ ...requested, created_at: event.occurredAt }), state: event.state, event };
    });
    const ids = await insertDeliveries(this.#database, deliveries);
    const written = deliveries.filter(({ identity }) => ids.has(identity.id));
    for (const { identity, state } of written) this.#remember(identity.id, identity, state);
    if (written.length > 0) this.#onWritten();
    return written;
  }

  /**
   * Appends events under a step key; a repetition of the key answers what the first one did.
   * @param after only if this is still the number of the last event; undefined: whichever it is
   * @throws {Problem} 404 when the delivery is not (yet) there; 409 `overtaken` when another event has come; 409 as `advance` says
   */
  async append(
    deliveryId: DeliveryId,
    stepKey: string,
    events: readonly NewDeliveryEvent[],
    after?: number,
  ): Promise<AppendAnswer> {
    const recordedAt = isoTime(this.#clock.nowMs());
    const remembered = this.#remembered.get(deliveryId);
    if (remembered && (after === undefined || remembered.state.sequence === after)) {
      const numbered = tryAdvance(remembered.state, events, recordedAt);
      if (numbered && (await this.#write(remembered, stepKey, events, numbered, recordedAt)) === 'written')
        return answerOf(numbered);
      this.#remembered.delete(deliveryId);
    }
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const found = await stateForAppend(this.#database, deliveryId, stepKey);
      if (!found) throw notFound('delivery', deliveryId);
      if (found.answered) return found.answered;
      const { sequence } = found.state;
      if (after !== undefined && sequence !== after) {
        throw conflict('overtaken', `Event ${sequence} of ${deliveryId} has come after event ${after}.`);
      }
      const numbered = advance(found.state, events, recordedAt);
      if ((await this.#write(found, stepKey, events, numbered, recordedAt)) === 'written')
        return answerOf(numbered);
    }
    throw new Problem('unavailable', {
      detail: `${deliveryId} is being written to by too many at once.`,
      retryAfterS: 1,
    });
  }

  async #write(
    { identity, state }: Remembered,
    stepKey: string,
    given: readonly NewDeliveryEvent[],
    events: NumberedEvent[],
    recordedAt: string,
  ): Promise<'written' | 'overtaken' | 'repeated'> {
    const result = await appendToDelivery(this.#database, {
      identity,
      afterSequence: state.sequence,
      stepKey,
      recordedAt,
      events,
      personalDropoff: personalDropoffOf(given),
    });
    const after = events.at(-1)?.state;
    if (result === 'written' && after) {
      this.#remember(identity.id, identity, after);
      this.#onWritten();
    }
    return result;
  }

  #remember(deliveryId: DeliveryId, identity: Remembered['identity'], state: DeliveryState): void {
    // Nothing follows a complete one.
    if (state.complete) this.#remembered.delete(deliveryId);
    else this.#remembered.set(deliveryId, { identity, state });
  }
}

/** Of the last change of the dropoff among the events, what tells who lives there; null when there was none. */
function personalDropoffOf(events: readonly NewDeliveryEvent[]): Personal['dropoff'] | null {
  const change = events.findLast((one) => one.change_dropoff !== undefined)?.change_dropoff;
  if (change === undefined) return null;
  const { location: _location, ...personal } = change.dropoff;
  return personal;
}

function answerOf(events: readonly NumberedEvent[]): AppendAnswer {
  const [first] = events;
  const last = events.at(-1);
  if (!first || !last) throw new RangeError('An append has at least one event');
  return { first_sequence: first.sequence, last_sequence: last.sequence, status: last.status };
}

/** On remembered state: a refusal may only mean that the state is old, or that this is a repetition. */
function tryAdvance(
  state: DeliveryState,
  events: readonly NewDeliveryEvent[],
  recordedAt: string,
): NumberedEvent[] | undefined {
  try {
    return advance(state, events, recordedAt);
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

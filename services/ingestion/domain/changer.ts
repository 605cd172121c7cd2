/**
 * Another pickup window, another dropoff. The workflow decides; a caller waits a bounded time for its answer, and may repeat the request with the same key
 * as often as it likes: the update's id is made of that key, so the workflow handles it once.
 */
import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { PrismaClient } from '../../../prisma/ingestion/generated/client.ts';
import { timeMsOf, type WallClock } from '../../../shared/clock.ts';
import { type FieldError, messageOf, notFound, Problem } from '../../../shared/errors.ts';
import type { Client } from '../../../shared/http/client.ts';
import type { AccountId, DeliveryId } from '../../../shared/ids.ts';
import type { DeliveryWorkflows } from '../../../shared/temporal/delivery-workflows.ts';
import type {
  ChangeDropoffAnswer,
  ChangeDropoffCommand,
  RescheduleAnswer,
  RescheduleCommand,
} from '../../../workflows/messages.ts';
import { type deliveryContract, isFinal, sameWindow, utcWindow } from '../../delivery/contract/index.ts';
import { findRequest } from '../data/requests.ts';
import {
  type ChangeAnswer,
  type ChangeCommand,
  type ChangeRequest,
  findChange,
  forgetChange,
  storeChange,
  storeChangeAnswer,
} from '../data/changes.ts';
import { readDelivery } from './read-model.ts';

export interface ChangerOptions {
  database: PrismaClient;
  workflows: DeliveryWorkflows;
  delivery: Client<typeof deliveryContract>;
  wall: WallClock;
  /** How long a caller waits for the workflow's answer, wall milliseconds. */
  waitMs: number;
}

/** A change as it is asked for. */
export interface Asked<C extends ChangeCommand> {
  deliveryId: DeliveryId;
  /** Whose it must be; null: anybody's. */
  accountId: AccountId | null;
  command: C;
  idempotencyKey: string | null;
  replayOnly: boolean;
}

interface Answered<A extends ChangeAnswer> {
  outcome: A['outcome'] | 'unknown';
  reason: string | null;
  detail: string | null;
  replayed: boolean;
}

type UpdateOptions = { updateId: string; timeoutMs: number };

/** One kind of change: the update that carries it, and how it is told from another one under the same key. */
interface Kind<C extends ChangeCommand, A extends ChangeAnswer> {
  update: string;
  /** What is changed, in words. */
  what: string;
  send(
    deliveryId: DeliveryId,
    command: C,
    options: UpdateOptions,
  ): Promise<A | { outcome: 'impossible'; errors: FieldError[] } | 'gone' | 'no_answer'>;
  isSame(one: ChangeCommand, other: C): boolean;
}

const RETRY_MS = 100;

export class Changer {
  readonly #options: ChangerOptions;
  readonly #windows: Kind<RescheduleCommand, RescheduleAnswer>;
  readonly #dropoffs: Kind<ChangeDropoffCommand, ChangeDropoffAnswer>;

  constructor(options: ChangerOptions) {
    this.#options = options;
    const { workflows } = options;
    this.#windows = {
      update: 'reschedule',
      what: 'pickup window',
      send: (...args) => workflows.reschedule(...args),
      isSame: (one, other) => 'pickupWindow' in one && sameWindow(one.pickupWindow, other.pickupWindow),
    };
    this.#dropoffs = {
      update: 'dropoff',
      what: 'dropoff',
      send: (...args) => workflows.changeDropoff(...args),
      isSame: (one, other) => 'dropoff' in one && isDeepStrictEqual(one.dropoff, other.dropoff),
    };
  }

  /**
   * @throws {Problem} 400 for a time that is none; 404 for an unknown delivery and for another account's; 422 for a window that
   *   cannot be served or a key that was used for another change; 503 when there is no answer in time
   */
  reschedule(asked: Asked<RescheduleCommand>): Promise<Answered<RescheduleAnswer>> {
    return this.#change(this.#windows, { ...asked, command: withUtcTimes(asked.command) });
  }

  /** @throws {Problem} as `reschedule` does; 422 for a dropoff that cannot be this delivery's */
  changeDropoff(asked: Asked<ChangeDropoffCommand>): Promise<Answered<ChangeDropoffAnswer>> {
    return this.#change(this.#dropoffs, asked);
  }

  async #change<C extends ChangeCommand, A extends ChangeAnswer>(
    kind: Kind<C, A>,
    { deliveryId, accountId, command, idempotencyKey, replayOnly }: Asked<C>,
  ): Promise<Answered<A>> {
    const { database, wall } = this.#options;
    const request = await findRequest(database, deliveryId);
    if (!request || (accountId !== null && request.accountId !== accountId))
      throw notFound('delivery', deliveryId);
    const requestKey = idempotencyKey ?? randomUUID();
    const known = await findChange(database, deliveryId, requestKey);
    if (known) assertSame(kind, known, command, requestKey);
    if (known?.answer) return answered(known.answer as A, true);
    if (replayOnly && !known) {
      return { outcome: 'unknown', reason: null, detail: null, replayed: false };
    }
    if (request.state === 'cancelled') return answered(endedAs('cancelled') as A, false);
    const stored = await storeChange(database, {
      deliveryId,
      requestKey,
      accountId: request.document.creation.account_id,
      livemode: request.livemode,
      command,
      createdAt: new Date(wall()),
    });
    assertSame(kind, stored, command, requestKey);
    const answer =
      (stored.answer as A | null) ??
      (await this.#askUntilAnswered(kind, deliveryId, requestKey, stored.command as C));
    await storeChangeAnswer(database, deliveryId, requestKey, answer);
    return answered(answer, stored.answer !== null);
  }

  async #askUntilAnswered<C extends ChangeCommand, A extends ChangeAnswer>(
    kind: Kind<C, A>,
    deliveryId: DeliveryId,
    requestKey: string,
    command: C,
  ): Promise<A> {
    const { database, waitMs } = this.#options;
    const deadline = performance.now() + waitMs;
    // A caller's key may be longer than an update's id.
    const updateId = `${deliveryId}/${kind.update}/${createHash('sha256').update(requestKey).digest('hex')}`;
    let why = 'its workflow did not answer in time';
    do {
      const timeoutMs = Math.max(1, deadline - performance.now());
      try {
        const answer = await kind.send(deliveryId, command, { updateId, timeoutMs });
        if (answer === 'no_answer') break;
        if (answer !== 'gone' && answer.outcome !== 'impossible') return answer;
        if (answer !== 'gone') {
          await forgetChange(database, deliveryId, requestKey);
          throw new Problem('unserviceable', {
            detail: `This ${kind.what} cannot be served: ${answer.errors.map((one) => one.message).join('; ')}.`,
            errors: answer.errors,
          });
        }
      } catch (error) {
        if (error instanceof Problem) throw error;
        why = `its workflow could not be asked (${messageOf(error)})`;
        break;
      }
      // Ended, or not started yet: the read model tells which.
      const status = (await readDelivery(this.#options.delivery, deliveryId))?.status;
      if (status && isFinal(status)) return endedAs(status) as A;
      why = 'its workflow was not running yet';
      await delay(Math.min(RETRY_MS, Math.max(0, deadline - performance.now())));
    } while (performance.now() < deadline);
    throw new Problem('unavailable', {
      detail: `Whether the ${kind.what} of ${deliveryId} is changed is not known yet: ${why}. Repeat the request with the same Idempotency-Key.`,
      retryAfterS: 2,
    });
  }
}

function assertSame<C extends ChangeCommand, A extends ChangeAnswer>(
  kind: Kind<C, A>,
  known: ChangeRequest,
  command: C,
  requestKey: string,
): void {
  if (kind.isSame(known.command, command)) return;
  throw new Problem('idempotency-key-reused', {
    detail: `The key ${requestKey} was used for another ${kind.what}, or for another change.`,
  });
}

function answered<A extends ChangeAnswer>(answer: A, replayed: boolean): Answered<A> {
  const { outcome, reason, detail } = answer;
  return { outcome, reason, detail, replayed };
}

const endedAs = (status: string): ChangeAnswer => ({
  outcome: 'refused',
  reason: `already_${status}`,
  detail: `The delivery has ended: it is ${status}.`,
});

function withUtcTimes(command: RescheduleCommand): RescheduleCommand {
  const { from, pickupWindow } = command;
  const errors = (['start', 'end'] as const)
    .filter((side) => !isInstant(pickupWindow[side]))
    .map((side) => ({
      field: `pickup_window.${side}`,
      message: 'must be an RFC 3339 time such as 2026-03-01T12:00:00Z',
    }));
  if (errors.length > 0) throw new Problem('invalid-request', { detail: 'A time is none.', errors });
  return {
    ...command,
    pickupWindow: utcWindow(pickupWindow),
    ...(from !== undefined && { from: from === null ? null : utcWindow(from) }),
  };
}

function isInstant(time: string): boolean {
  try {
    return Number.isFinite(timeMsOf(time));
  } catch {
    return false;
  }
}

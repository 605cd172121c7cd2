/**
 * Reschedules. The workflow decides; a caller waits a bounded time for its answer, and may repeat the request with the same key
 * as often as it likes: the update's id is made of that key, so the workflow handles it once.
 */
import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { PrismaClient } from '../../../prisma/ingestion/generated/client.ts';
import { timeMsOf, type WallClock } from '../../../shared/clock.ts';
import { messageOf, notFound, Problem } from '../../../shared/errors.ts';
import type { Client } from '../../../shared/http/client.ts';
import type { AccountId, DeliveryId } from '../../../shared/ids.ts';
import type { DeliveryWorkflows } from '../../../shared/temporal/delivery-workflows.ts';
import type { RescheduleAnswer, RescheduleCommand } from '../../../workflows/messages.ts';
import { type deliveryContract, isFinal, sameWindow, utcWindow } from '../../delivery/contract/index.ts';
import { findRequest } from '../data/requests.ts';
import {
  findReschedule,
  forgetReschedule,
  type RescheduleRequest,
  storeReschedule,
  storeRescheduleAnswer,
} from '../data/reschedules.ts';

export interface ReschedulerOptions {
  database: PrismaClient;
  workflows: DeliveryWorkflows;
  delivery: Client<typeof deliveryContract>;
  wall: WallClock;
  /** How long a caller waits for the workflow's answer, wall milliseconds. */
  waitMs: number;
}

export interface Rescheduling {
  deliveryId: DeliveryId;
  /** Whose it must be; null: anybody's. */
  accountId: AccountId | null;
  command: RescheduleCommand;
  idempotencyKey: string | null;
  replayOnly: boolean;
}

type Answered = Omit<RescheduleAnswer, 'outcome'> & {
  outcome: RescheduleAnswer['outcome'] | 'unknown';
  replayed: boolean;
};

const RETRY_MS = 100;

export class Rescheduler {
  readonly #options: ReschedulerOptions;

  constructor(options: ReschedulerOptions) {
    this.#options = options;
  }

  /**
   * @throws {Problem} 400 for a time that is none; 404 for an unknown delivery and for another account's; 422 for a window that
   *   cannot be served or a key that was used for another one; 503 when there is no answer in time
   */
  async reschedule({
    deliveryId,
    accountId,
    command: asked,
    idempotencyKey,
    replayOnly,
  }: Rescheduling): Promise<Answered> {
    const { database, wall } = this.#options;
    const command = withUtcTimes(asked);
    const request = await findRequest(database, deliveryId);
    if (!request || (accountId !== null && request.accountId !== accountId))
      throw notFound('delivery', deliveryId);
    const requestKey = idempotencyKey ?? randomUUID();
    const known = await findReschedule(database, deliveryId, requestKey);
    if (known) assertSameWindow(known, command, requestKey);
    if (known?.answer) return { ...known.answer, replayed: true };
    if (replayOnly && !known) return { outcome: 'unknown', reason: null, detail: null, replayed: false };
    if (request.state === 'cancelled') return { ...endedAs('cancelled'), replayed: false };
    const stored = await storeReschedule(database, {
      deliveryId,
      requestKey,
      accountId: request.document.creation.account_id,
      livemode: request.livemode,
      command,
      createdAt: new Date(wall()),
    });
    assertSameWindow(stored, command, requestKey);
    const answer = stored.answer ?? (await this.#askUntilAnswered(deliveryId, requestKey, stored.command));
    await storeRescheduleAnswer(database, deliveryId, requestKey, answer);
    return { ...answer, replayed: stored.answer !== null };
  }

  async #askUntilAnswered(
    deliveryId: DeliveryId,
    requestKey: string,
    command: RescheduleCommand,
  ): Promise<RescheduleAnswer> {
    const { database, workflows, waitMs } = this.#options;
    const deadline = performance.now() + waitMs;
    // A caller's key may be longer than an update's id.
    const updateId = `${deliveryId}/reschedule/${createHash('sha256').update(requestKey).digest('hex')}`;
    let why = 'its workflow did not answer in time';
    do {
      const timeoutMs = Math.max(1, deadline - performance.now());
      try {
        const answer = await workflows.reschedule(deliveryId, command, { updateId, timeoutMs });
        if (answer === 'no_answer') break;
        if (answer !== 'gone' && answer.outcome !== 'impossible') return answer;
        if (answer !== 'gone') {
          await forgetReschedule(database, deliveryId, requestKey);
          throw new Problem('unserviceable', {
            detail: `This pickup window cannot be served: ${answer.errors.map((one) => one.message).join('; ')}.`,
            errors: answer.errors,
          });
        }
      } catch (error) {
        if (error instanceof Problem) throw error;
        why = `its workflow could not be asked (${messageOf(error)})`;
        break;
      }
      // Ended, or not started yet: the read model tells which.
      const status = await this.#status(deliveryId);
      if (status && isFinal(status)) return endedAs(status);
      why = 'its workflow was not running yet';
      await delay(Math.min(RETRY_MS, Math.max(0, deadline - performance.now())));
    } while (performance.now() < deadline);
    throw new Problem('unavailable', {
      detail: `Whether ${deliveryId} is rescheduled is not known yet: ${why}. Repeat the request with the same Idempotency-Key.`,
      retryAfterS: 2,
    });
  }

  async #status(deliveryId: DeliveryId) {
    try {
      return (await this.#options.delivery.getDelivery({ params: { delivery_id: deliveryId } })).status;
    } catch (error) {
      if (error instanceof Problem && error.slug === 'not-found') return undefined;
      throw error;
    }
  }
}

function assertSameWindow(known: RescheduleRequest, command: RescheduleCommand, requestKey: string): void {
  if (sameWindow(known.command.pickupWindow, command.pickupWindow)) return;
  throw new Problem('idempotency-key-reused', {
    detail: `The key ${requestKey} was used for another pickup window.`,
  });
}

const endedAs = (status: string): RescheduleAnswer => ({
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

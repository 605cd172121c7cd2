/**
 * Cancels. Nobody has begun to start it: a compare-and-set on its row settles the matter. Otherwise the workflow decides:
 * the intent is stored first, then sent, and sent again until it is answered, whoever has given up waiting by then.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { PrismaClient } from '../../../prisma/ingestion/generated/client.ts';
import { type ClockSettings, clockTimeMs, isoTime, type WallClock } from '../../../shared/clock.ts';
import { messageOf, notFound, Problem } from '../../../shared/errors.ts';
import type { Client } from '../../../shared/http/client.ts';
import type { AccountId, DeliveryId } from '../../../shared/ids.ts';
import type { Logger } from '../../../shared/logger.ts';
import { backoffWithJitterMs, Pump } from '../../../shared/pump.ts';
import type { DeliveryWorkflows } from '../../../shared/temporal/delivery-workflows.ts';
import type { CancelAnswer, CancelCommand } from '../../../workflows/messages.ts';
import {
  type Delivery,
  type deliveryContract,
  isBeforePickup,
  isFinal,
} from '../../delivery/contract/index.ts';
import { type CancelIntent, claimToSend, putOffSending, storeAnswer, storeIntent } from '../data/intents.ts';
import { cancelBeforeStart, findRequest } from '../data/requests.ts';
import { FRESH_MS, type Projector } from './projector.ts';
import { readDelivery } from './read-model.ts';

export interface CancellerOptions {
  database: PrismaClient;
  workflows: DeliveryWorkflows;
  delivery: Client<typeof deliveryContract>;
  projector: Projector;
  logger: Logger;
  wall: WallClock;
  /** How long a caller waits for the workflow's answer, wall milliseconds. */
  waitMs: number;
}

const CANCELLED: CancelAnswer = { outcome: 'cancelled', reason: null, detail: null };
const LOOK_EVERY_MS = 1_000;
const SENT_AT_ONCE = 8;
const RETRY_MS = 100;
const ROW_BACKOFF_MS = { first: 1_000, longest: 30_000 };
/** Beyond the wait, until another process may send the intent too. */
const LEASE_SLACK_MS = 5_000;

export class Canceller {
  readonly pump: Pump;
  readonly #options: CancellerOptions;

  constructor(options: CancellerOptions) {
    this.#options = options;
    this.pump = new Pump({
      name: 'cancel sender',
      logger: options.logger,
      lookEveryMs: LOOK_EVERY_MS,
      round: () => this.#round(),
    });
  }

  /**
   * Idempotent: the first call's reason and actor count, and a final answer is given again.
   * @throws {Problem} 404 for an unknown delivery and for another account's; 503 when there is no answer in time: the
   *   intent is kept and sent again
   */
  async cancel(
    deliveryId: DeliveryId,
    accountId: AccountId | null,
    command: CancelCommand,
    clock: ClockSettings,
  ): Promise<CancelAnswer> {
    const { database, projector, wall, waitMs } = this.#options;
    const nowMs = wall();
    const at = isoTime(clockTimeMs(clock, nowMs));
    const cancellation = { ...command, at };
    const projectDueAt = new Date(nowMs + FRESH_MS);
    const isCancelled = await cancelBeforeStart(database, deliveryId, accountId, cancellation, projectDueAt);
    const request = await findRequest(database, deliveryId);
    if (!request || (accountId !== null && request.accountId !== accountId))
      throw notFound('delivery', deliveryId);
    if (isCancelled) {
      await projector.projectSoon({ deliveryId, document: request.document, cancellation, projected: 0 });
    }
    if (request.state === 'cancelled') return CANCELLED;
    const intent = await storeIntent(database, {
      deliveryId,
      accountId: request.document.creation.account_id,
      livemode: request.livemode,
      command,
      createdAt: new Date(at),
      sendDueAt: new Date(nowMs + waitMs + LEASE_SLACK_MS),
    });
    if (intent.answer?.outcome === 'pending') return this.#settled(deliveryId, intent.answer);
    return intent.answer ?? this.#send(intent);
  }

  /** What the aircraft had not answered may be settled by now. */
  async #settled(deliveryId: DeliveryId, pending: CancelAnswer): Promise<CancelAnswer> {
    const answer = answerFrom(await readDelivery(this.#options.delivery, deliveryId));
    return answer ? storeAnswer(this.#options.database, deliveryId, answer) : pending;
  }

  async #send(intent: CancelIntent): Promise<CancelAnswer> {
    const { database, wall } = this.#options;
    try {
      return await storeAnswer(database, intent.deliveryId, await this.#askUntilAnswered(intent));
    } catch (error) {
      const waitMs = backoffWithJitterMs(intent.attempts + 1, ROW_BACKOFF_MS.first, ROW_BACKOFF_MS.longest);
      await putOffSending(database, intent.deliveryId, new Date(wall() + waitMs));
      throw error;
    }
  }

  /** @throws {Problem} 503 when the workflow, which may not have been started yet, does not answer in time */
  async #askUntilAnswered({ deliveryId, command }: CancelIntent): Promise<CancelAnswer> {
    const { workflows, waitMs } = this.#options;
    const deadline = performance.now() + waitMs;
    // One intent for a delivery, so one id: however often it is sent, the workflow handles it once.
    const updateId = `${deliveryId}/cancel/1`;
    let why = 'its workflow did not answer in time';
    do {
      const timeoutMs = Math.max(1, deadline - performance.now());
      try {
        const answer = await workflows.cancel(deliveryId, command, { updateId, timeoutMs });
        if (answer === 'no_answer') break;
        if (answer !== 'gone') return answer;
      } catch (error) {
        why = `its workflow could not be asked (${messageOf(error)})`;
        break;
      }
      // Ended, or not started yet: the read model tells which.
      const delivery = await readDelivery(this.#options.delivery, deliveryId);
      const ended = delivery && isFinal(delivery.status) ? answerFrom(delivery) : undefined;
      if (ended) return ended;
      why = 'its workflow was not running yet';
      await delay(Math.min(RETRY_MS, Math.max(0, deadline - performance.now())));
    } while (performance.now() < deadline);
    throw new Problem('unavailable', {
      detail: `${deliveryId} is not cancelled yet: ${why}. The wish is kept and sent again.`,
      retryAfterS: 2,
    });
  }

  /** Sends again what nobody has answered. */
  async #round(): Promise<boolean> {
    const { database, wall, waitMs, logger } = this.#options;
    const nowMs = wall();
    const intents = await claimToSend(database, {
      limit: SENT_AT_ONCE,
      now: new Date(nowMs),
      leaseUntil: new Date(nowMs + waitMs + LEASE_SLACK_MS),
    });
    await Promise.all(
      intents.map(async (intent) => {
        try {
          await this.#send(intent);
        } catch (error) {
          if (!(error instanceof Problem)) throw error;
          logger.debug({ delivery_id: intent.deliveryId, err: error.message }, 'cancel not answered yet');
        }
      }),
    );
    return intents.length === SENT_AT_ONCE;
  }
}

/** What the read model implies, if it does: it is cancelled, or past its pickup and can no longer be. */
function answerFrom(delivery: Delivery | undefined): CancelAnswer | undefined {
  if (!delivery) return undefined;
  const { status } = delivery;
  if (status === 'cancelled') return CANCELLED;
  if (isBeforePickup(status)) return undefined;
  return {
    outcome: 'refused',
    reason: `already_${status}`,
    detail: `The delivery is ${status}: it cannot be cancelled any more.`,
  };
}

/**
 * Operators' orders to a delivery's workflow, and the recipient's word that it is confirmed. None is stored: an order is about the delivery as the operator sees it now, and
 * one that was delivered an hour later would strike another drone than was meant. Whoever gets no answer repeats it with the
 * same key; that is the same update, which the workflow handles once. (A cancel is a wish that stands, so its intent is kept;
 * an abort of what has not been started is such a cancel.)
 */
import type { PrismaClient } from '../../../prisma/ingestion/generated/client.ts';
import type { ClockSettings } from '../../../shared/clock.ts';
import { conflict, messageOf, notFound, Problem } from '../../../shared/errors.ts';
import type { Client } from '../../../shared/http/client.ts';
import type { DeliveryId } from '../../../shared/ids.ts';
import type { DeliveryWorkflows } from '../../../shared/temporal/delivery-workflows.ts';
import type { OrderResult, RejectedOrder } from '../../../shared/temporal/operator-orders.ts';
import {
  ABORT_UPDATE,
  CONFIRM_UPDATE,
  type OperatorAnswer,
  type OperatorCommands,
  type OrderCommands,
} from '../../../workflows/messages.ts';
import { type deliveryContract, isFinal } from '../../delivery/contract/index.ts';
import { isAskedByReconciler } from '../../delivery/contract/interventions.ts';
import { findRequest } from '../data/requests.ts';
import type { Canceller } from './canceller.ts';
import { readDelivery } from './read-model.ts';

export interface CommanderOptions {
  database: PrismaClient;
  workflows: DeliveryWorkflows;
  delivery: Client<typeof deliveryContract>;
  canceller: Canceller;
  /** How long a caller waits for the workflow's answer, wall milliseconds. */
  waitMs: number;
}

export interface Order<K extends keyof OrderCommands> {
  deliveryId: DeliveryId;
  update: K;
  command: OrderCommands[K];
  /** The caller's own, made unique among callers. */
  key: string;
}

type FoundRequest = NonNullable<Awaited<ReturnType<typeof findRequest>>>;

export class Commander {
  readonly #options: CommanderOptions;

  constructor(options: CommanderOptions) {
    this.#options = options;
  }

  /**
   * Sends it and waits for the answer, which is never `refused`.
   * @throws {Problem} 404 for an unknown delivery; 400 and 409 as the workflow says; 422 `idempotency-key-reused`; 503 when
   *   there is no answer in time: safe to repeat with the same key
   */
  async order<K extends keyof OperatorCommands>(
    order: Order<K>,
    clock: ClockSettings,
  ): Promise<OperatorAnswer> {
    const { deliveryId, update, command } = order;
    const { canceller } = this.#options;
    const request = await this.#request(deliveryId);
    const isUnstarted = request.state === 'accepted' || request.state === 'cancelled';
    if (isUnstarted && update === ABORT_UPDATE) {
      const { actor, why } = command;
      const cancel = { reason: 'requested_by_operator', actor, why } as const;
      return answered({ ...(await canceller.cancel(deliveryId, null, cancel, clock)), request: null });
    }
    assertStarted(request);
    return this.#send(order);
  }

  /**
   * Tells the workflow that the recipient has given something, and waits for what comes of it.
   * @param given `confirmed` or `exhausted`: each is told once, however often it is repeated
   * @throws {Problem} as `order` does
   */
  async confirm(deliveryId: DeliveryId, given: 'confirmed' | 'exhausted'): Promise<OperatorAnswer> {
    assertStarted(await this.#request(deliveryId));
    const actor = { role: 'recipient', id: 'tracking_link' } as const;
    return this.#send({ deliveryId, update: CONFIRM_UPDATE, command: { actor }, key: given });
  }

  async #request(deliveryId: DeliveryId): Promise<FoundRequest> {
    const request = await findRequest(this.#options.database, deliveryId);
    if (!request) throw notFound('delivery', deliveryId);
    return request;
  }

  async #send<K extends keyof OrderCommands>(order: Order<K>): Promise<OperatorAnswer> {
    const { deliveryId, update, command, key } = order;
    const updateId = `${deliveryId}/${update}/${key}`;
    const result = await this.#result(order, updateId);
    if (result === 'no_answer') {
      throw unanswered(`the workflow of ${deliveryId} did not answer in time`);
    }
    if (result === 'gone') throw await this.#gone(deliveryId, command);
    if (result.outcome === 'rejected') throw rejection(result);
    if (result.request !== (command.request ?? null)) {
      throw new Problem('idempotency-key-reused', {
        detail: 'This Idempotency-Key was used for another order to this delivery.',
      });
    }
    return answered(result);
  }

  async #result<K extends keyof OrderCommands>(order: Order<K>, updateId: string): Promise<OrderResult> {
    const { deliveryId, update, command } = order;
    const { workflows, waitMs } = this.#options;
    try {
      return await workflows.order(deliveryId, update, command, { updateId, timeoutMs: waitMs });
    } catch (error) {
      throw unanswered(`the workflow of ${deliveryId} could not be asked (${messageOf(error)})`);
    }
  }

  /** It has no running workflow: it has ended, is just being started, or somebody has terminated it. */
  async #gone(deliveryId: DeliveryId, command: object): Promise<Problem> {
    if ('interventionId' in command && isAskedByReconciler(String(command.interventionId))) {
      return conflict(
        'intervention_not_open',
        'The reconciler takes no such order: what it asks has been settled, or it tries again by itself.',
      );
    }
    const status = (await readDelivery(this.#options.delivery, deliveryId))?.status ?? 'created';
    if (isFinal(status)) return conflict(`already_${status}`, `The delivery has ended: it is ${status}.`);
    if (status === 'created') return unanswered(`the workflow of ${deliveryId} was not running yet`);
    return conflict('no_workflow', `The delivery is ${status}, and its workflow is not running any more.`);
  }
}

/** @throws {Problem} 409 for what has no workflow yet, or never will */
function assertStarted({ state }: FoundRequest): void {
  if (state === 'cancelled') throw conflict('already_cancelled', 'The delivery has ended: it is cancelled.');
  if (state === 'accepted') {
    throw conflict('not_started', 'The delivery has not been started yet: nothing has been done for it.');
  }
}

/** @throws {Problem} 409 with its reason when it is refused */
function answered(answer: OperatorAnswer): OperatorAnswer {
  const { outcome, reason, detail } = answer;
  if (outcome === 'refused')
    throw conflict(reason ?? 'refused', detail ?? 'The delivery does not allow this now.');
  return answer;
}

function rejection({ why, detail, errors }: RejectedOrder): Problem {
  return why === 'notOpen'
    ? conflict('intervention_not_open', detail)
    : new Problem('invalid-request', { detail, errors });
}

function unanswered(why: string): Problem {
  return new Problem('unavailable', {
    detail: `There is no answer: ${why}. Repeat it with the same Idempotency-Key.`,
    retryAfterS: 2,
  });
}

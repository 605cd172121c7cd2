/** The workflows as a test scripts them: what is started, what a cancel answers, and all the ways in which Temporal fails. */
import type { DeliveryId } from '../../shared/ids.ts';
import type { DeliveryWorkflows } from '../../shared/temporal/delivery-workflows.ts';
import type {
  CancelAnswer,
  CancelCommand,
  ChangeDropoffCommand,
  DeliveryInput,
  RescheduleCommand,
} from '../../workflows/messages.ts';

export class ScriptedWorkflows implements DeliveryWorkflows {
  /** While true nothing can be reached. */
  down = false;
  /** Fails the answer of a start that was done, as when the connection breaks. Called for each start. */
  losesAnswer: (input: DeliveryInput) => boolean = () => false;
  /** Called for each start; a throw is a start that was not done. */
  beforeStart: (input: DeliveryInput) => Promise<void> = async () => undefined;
  /** Workflow tasks that wait for a worker. */
  waiting = 0;
  /** What a running workflow answers to `cancel`. */
  answer: (deliveryId: DeliveryId, command: CancelCommand) => Promise<CancelAnswer | 'gone' | 'no_answer'> =
    async () => ({ outcome: 'cancelled', reason: null, detail: null });

  /** What a running workflow answers to `reschedule`. */
  answerReschedule: (
    deliveryId: DeliveryId,
    command: RescheduleCommand,
  ) => ReturnType<DeliveryWorkflows['reschedule']> = async () => ({
    outcome: 'rescheduled',
    reason: null,
    detail: null,
  });
  /** What a running workflow answers to `changeDropoff`. */
  answerDropoff: (
    deliveryId: DeliveryId,
    command: ChangeDropoffCommand,
  ) => ReturnType<DeliveryWorkflows['changeDropoff']> = async () => ({
    outcome: 'changed',
    reason: null,
    detail: null,
  });
  readonly dropoffs: { deliveryId: DeliveryId; command: ChangeDropoffCommand; updateId: string }[] = [];
  readonly reschedules: { deliveryId: DeliveryId; command: RescheduleCommand; updateId: string }[] = [];
  /** What a running workflow answers to an operator's order. */
  readonly order: DeliveryWorkflows['order'] = async () => 'gone';

  /** In the order of their starts. */
  readonly started: DeliveryInput[] = [];
  /** How often a start was asked for, answered or not. */
  readonly startCalls = new Map<DeliveryId, number>();
  readonly cancels: { deliveryId: DeliveryId; command: CancelCommand; updateId: string }[] = [];
  readonly #running = new Set<DeliveryId>();
  /** By update id: Temporal answers a repeated update with the first answer. */
  readonly #answers = new Map<string, CancelAnswer>();

  async start(input: DeliveryInput): Promise<'started' | 'already_started'> {
    const { deliveryId } = input;
    this.startCalls.set(deliveryId, (this.startCalls.get(deliveryId) ?? 0) + 1);
    this.#refuseWhenDown();
    await this.beforeStart(input);
    this.#refuseWhenDown();
    const isNew = !this.#running.has(deliveryId);
    if (isNew) {
      this.#running.add(deliveryId);
      this.started.push(input);
    }
    if (this.losesAnswer(input)) throw new Error('14 UNAVAILABLE: the connection broke');
    return isNew ? 'started' : 'already_started';
  }

  async tasksWaiting(): Promise<number> {
    this.#refuseWhenDown();
    return this.waiting;
  }

  async signal(deliveryId: DeliveryId): Promise<'signalled' | 'gone'> {
    this.#refuseWhenDown();
    return this.#running.has(deliveryId) ? 'signalled' : 'gone';
  }

  async cancel(
    deliveryId: DeliveryId,
    command: CancelCommand,
    { updateId }: { updateId: string; timeoutMs: number },
  ): Promise<CancelAnswer | 'gone' | 'no_answer'> {
    this.#refuseWhenDown();
    if (!this.#running.has(deliveryId)) return 'gone';
    const known = this.#answers.get(updateId);
    if (known) return known;
    const answer = await this.answer(deliveryId, command);
    this.cancels.push({ deliveryId, command, updateId });
    if (typeof answer === 'object') this.#answers.set(updateId, answer);
    return answer;
  }

  async reschedule(
    deliveryId: DeliveryId,
    command: RescheduleCommand,
    { updateId }: { updateId: string; timeoutMs: number },
  ): ReturnType<DeliveryWorkflows['reschedule']> {
    this.#refuseWhenDown();
    if (!this.#running.has(deliveryId)) return 'gone';
    this.reschedules.push({ deliveryId, command, updateId });
    return this.answerReschedule(deliveryId, command);
  }

  async changeDropoff(
    deliveryId: DeliveryId,
    command: ChangeDropoffCommand,
    { updateId }: { updateId: string; timeoutMs: number },
  ): ReturnType<DeliveryWorkflows['changeDropoff']> {
    this.#refuseWhenDown();
    if (!this.#running.has(deliveryId)) return 'gone';
    this.dropoffs.push({ deliveryId, command, updateId });
    return this.answerDropoff(deliveryId, command);
  }

  /** What Temporal does with a workflow that ended longer ago than the retention. */
  forget(deliveryId: DeliveryId): void {
    this.#running.delete(deliveryId);
  }

  startsOf(deliveryId: DeliveryId): number {
    return this.started.filter((input) => input.deliveryId === deliveryId).length;
  }

  #refuseWhenDown(): void {
    if (this.down) throw new Error('14 UNAVAILABLE: no connection established');
  }
}

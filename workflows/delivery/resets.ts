/**
 * *Reset*: a person has the workflow run again from an earlier point of its history. The new run repeats its steps by their keys, and
 * the services answer what they answered before; signals and updates are given to it again. Here it notices that it is such a run,
 * tells of it, and learns how far the delivery had come, so that it neither ends what goes on nor goes on with what has ended.
 */
import { CancellationScope, condition, currentUpdateInfo, patched, workflowInfo } from '@temporalio/workflow';
import type { ToldReset } from '../../activities/reset.ts';
import { isFinal } from '../../services/delivery/contract/status.ts';
import type { DeliveryRecord } from './record.ts';
import { tellOfReset } from './steps.ts';

/** What the run does with what it has learnt. */
type Adopt = (seen: ToldReset) => Promise<void>;

/** How an update is handled in a run that was reset. */
interface Repeated {
  /** Not before the run is where the delivery was. */
  waits?: boolean;
  /** It is run again though it was answered. */
  anew?: () => boolean;
  /** Called when it is answered as it was before. */
  answeredBefore?: () => void;
}

export class Resets {
  private readonly record: DeliveryRecord;
  private readonly adopt: Adopt;
  /** How often it was noticed, in the history that this run has. */
  private noticed = 0;
  /** The run that has told of its reset last. */
  private toldRunId: string | undefined;
  private isLearning = false;
  /** What its updates were answered before it was reset, by name and id. */
  private answers: ReadonlyMap<string, unknown> | undefined;
  /** The updates that were answered `pending` and have not come to anything yet, by name; undefined: nobody looked. */
  private unsettled: readonly string[] | undefined;

  constructor(record: DeliveryRecord, adopt: Adopt) {
    this.record = record;
    this.adopt = adopt;
  }

  /** Notices a reset at whatever moment: it may be to the middle of a wait. */
  async watch(): Promise<void> {
    for (;;) {
      await condition(() => this.mustLearn());
      await condition(() => !this.isLearning);
    }
  }

  /** Whether it was reset and is just learning how far the delivery had come; notices when it was. */
  mustLearn(): boolean {
    if (!this.isLearning && this.isNewlyReset()) {
      this.noticed += 1;
      this.isLearning = true;
      void CancellationScope.nonCancellable(() => this.learn());
    }
    return this.isLearning;
  }

  /** Settles when nothing is to be learnt. */
  async known(): Promise<void> {
    await condition(() => !this.mustLearn());
  }

  /**
   * Runs the handler of an update: in a run that was reset not before it knows what became of that update, and is where the delivery
   * was. One that was answered before is answered the same: what came of it stands.
   */
  inTurn<A>(handle: () => A | Promise<A>, how: Repeated = {}): A | Promise<A> {
    // Everybody else's handlers begin in the same moment as ever.
    if (!this.mustLearn() && this.answers === undefined) return handle();
    return this.afterAll(handle, how);
  }

  private async afterAll<A>(
    handle: () => A | Promise<A>,
    { waits = true, anew = () => false, answeredBefore }: Repeated,
  ): Promise<A> {
    await this.known();
    const update = currentUpdateInfo();
    const before = update && this.answers?.get(`${update.name}/${update.id}`);
    // What is kept under an update's name and id is the answer of this very handler.
    // One that was pending and came to something is not carried out again.
    const isStillPending = isPending(before) && (this.unsettled?.includes(update?.name ?? '') ?? true);
    if (before !== undefined && !isStillPending && !anew()) {
      answeredBefore?.();
      return before as A;
    }
    if (waits) await condition(() => !this.record.repetition.isUnderWay);
    return handle();
  }

  /**
   * Live, the run of a reset has another id than the one that it repeats. Replayed elsewhere it may not: then its marker says so. The
   * number in it is for one that is reset again after it has told.
   */
  private isNewlyReset(): boolean {
    const { runId, originalExecutionRunId, unsafe } = workflowInfo();
    const marker = `tells-of-its-reset/${this.noticed + 1}`;
    if (unsafe.isReplaying) return patched(marker);
    return runId !== originalExecutionRunId && runId !== this.toldRunId && patched(marker);
  }

  private async learn(): Promise<void> {
    const { state } = this.record;
    const { deliveryId } = this.record;
    const seen = await tellOfReset({ deliveryId, open: [...state.openInterventions] });
    this.toldRunId = seen.runId;
    this.answers = new Map([...(this.answers ?? []), ...seen.answers]);
    this.unsettled = seen.unsettled;
    await this.adopt(seen);
    this.isLearning = false;
  }
}

const isPending = (answer: unknown) => (answer as { outcome?: string } | null)?.outcome === 'pending';

/** The delivery has ended, which this run had no part in. */
export const hasEndedElsewhere = ({ delivery }: ToldReset, { status }: Pick<DeliveryRecord, 'status'>) =>
  isFinal(delivery.status) && !isFinal(status);

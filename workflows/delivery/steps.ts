/**
 * How the saga calls activities, and only those of the registry. A step's key is the delivery, the step and the step's ordinal in this delivery: a retry
 * repeats the key, a second drone is a new one. What Temporal writes is what a delivery costs, so a short step runs as a
 * local activity (no events of its own but a marker) and falls back to the same step as a plain one when the service is down.
 */
import {
  ActivityFailure,
  ApplicationFailure,
  isCancellation,
  type LocalActivityInterfaceFor,
  proxyActivities,
  proxyLocalActivities,
  type ActivityInterfaceFor,
} from '@temporalio/workflow';
import type { DeliveryActivities } from '../../activities/index.ts';
import type { ResetActivities } from '../../activities/reset.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import { heardLast } from './heard-last.ts';
import { type Activity, type COMPENSATIONS, type LoneStep, STEPS, type UndoableStep } from './registry.ts';

/** One attempt of a plain step; beyond it the service is taken for dead and the step is tried again, for ever. */
const plain: ActivityInterfaceFor<DeliveryActivities> = proxyActivities<DeliveryActivities>({
  startToCloseTimeout: '20s',
  retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '15s' },
});

/** A local step must fit easily in one workflow task (10 s), or the task is lost with it. */
const local: LocalActivityInterfaceFor<DeliveryActivities> = proxyLocalActivities<DeliveryActivities>({
  scheduleToCloseTimeout: '4s',
  startToCloseTimeout: '3s',
  retry: { initialInterval: '50ms', backoffCoefficient: 3, maximumAttempts: 4 },
});

/** Nobody waits for it longer than this, wall time. */
const brief: ActivityInterfaceFor<DeliveryActivities> = proxyActivities<DeliveryActivities>({
  scheduleToCloseTimeout: '5s',
  startToCloseTimeout: '2s',
  retry: { initialInterval: '250ms', backoffCoefficient: 2 },
});

/** No step of the saga: what a run does first that a reset has begun. Repeated until it is answered. */
export const { tellOfReset } = proxyActivities<ResetActivities>({
  startToCloseTimeout: '1 minute',
  retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '15s' },
});

export type StepInput<K extends Activity> = Parameters<DeliveryActivities[K]>[0];
export type StepOutput<K extends Activity> = Awaited<ReturnType<DeliveryActivities[K]>>;

type Short = { [K in LoneStep]: (typeof STEPS)[K]['how'] extends 'short' ? K : never }[LoneStep];
type Brief = { [K in LoneStep]: (typeof STEPS)[K]['how'] extends 'brief' ? K : never }[LoneStep];
type Plain = LoneStep | (typeof COMPENSATIONS)[keyof typeof COMPENSATIONS];

/** An activity of either kind, with its options at the call. */
interface Callable<K extends Activity> {
  executeWithOptions(options: { summary?: string }, args: [StepInput<K>]): Promise<StepOutput<K>>;
}

/** Next ordinal of each step of one delivery. Plain data: it outlives a continue-as-new. */
export type Ordinals = Record<string, number>;

/** The idempotency key of the next run of a step. */
export function nextKey(deliveryId: DeliveryId, ordinals: Ordinals, step: string): string {
  const ordinal = (ordinals[step] ?? 0) + 1;
  ordinals[step] = ordinal;
  return `${deliveryId}/${step}/${ordinal}`;
}

/**
 * A step's service answered, and the answer will not change: repeating the step is no use. Should it ever get out of the workflow,
 * that fails; a plain error would block it for ever.
 */
export class StepFailed extends ApplicationFailure {
  /** `type` is the failure's own: the problem's slug and reason. No personal data. */
  constructor(step: Activity, type: string) {
    super(`${step} failed for good: ${type}`, 'step_failed', true);
  }
}

/**
 * A step that may take its time, or must not be lost with a workflow task: retried until it works or fails for good.
 * @throws {StepFailed} when it failed for good
 */
export function plainStep<K extends Plain>(
  name: K,
  input: StepInput<K>,
  summary: string,
): Promise<StepOutput<K>> {
  return runPlain(name, input, summary);
}

/**
 * A short step: at once within the workflow task while its service answers, else as a plain step with the same key.
 * @throws {StepFailed} when it failed for good
 */
export function shortStep<K extends Short>(
  name: K,
  input: StepInput<K>,
  summary: string,
): Promise<StepOutput<K>> {
  return runShort(name, input, summary);
}

/** A step on whose answer nothing depends. @returns undefined when it failed for good, or was not done in time */
export async function briefStep<K extends Brief>(
  name: K,
  input: StepInput<K>,
  summary: string,
): Promise<StepOutput<K> | undefined> {
  try {
    return await (brief[name] as unknown as Callable<K>).executeWithOptions({ summary }, [input]);
  } catch (error) {
    if (isCancellation(error)) throw error;
    return undefined;
  }
}

/**
 * A step that something undoes. Only for `Compensations.prepare`, which registers that first.
 * @throws {StepFailed} when it failed for good
 */
export function undoableStep<K extends UndoableStep>(
  name: K,
  input: StepInput<K>,
  summary: string,
): Promise<StepOutput<K>> {
  return STEPS[name].how === 'short' ? runShort(name, input, summary) : runPlain(name, input, summary);
}

async function runPlain<K extends Activity>(
  name: K,
  input: StepInput<K>,
  summary: string,
): Promise<StepOutput<K>> {
  try {
    return await (plain[name] as unknown as Callable<K>).executeWithOptions({ summary }, [input]);
  } catch (error) {
    throw finalFailure(name, error) ?? error;
  }
}

async function runShort<K extends Activity>(
  name: K,
  input: StepInput<K>,
  summary: string,
): Promise<StepOutput<K>> {
  try {
    return await heardLast(() =>
      (local[name] as unknown as Callable<K>).executeWithOptions({ summary }, [input]),
    );
  } catch (error) {
    if (isCancellation(error)) throw error;
    const failure = finalFailure(name, error);
    if (failure) throw failure;
    return runPlain(name, input, summary);
  }
}

/** A plain activity's failure comes wrapped in an `ActivityFailure`, a local one's does not. */
function finalFailure(name: Activity, error: unknown): StepFailed | undefined {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  const isFinal = cause instanceof ApplicationFailure && cause.nonRetryable === true;
  return isFinal ? new StepFailed(name, cause.type ?? 'unknown') : undefined;
}

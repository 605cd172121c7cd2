/**
 * How the saga calls activities. A step's key is the delivery, the step and the step's ordinal in this delivery: a retry
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
import type { DeliveryId } from '../../shared/ids.ts';

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

export type StepName = keyof DeliveryActivities;
type StepInput<K extends StepName> = Parameters<DeliveryActivities[K]>[0];
type StepOutput<K extends StepName> = Awaited<ReturnType<DeliveryActivities[K]>>;

/** An activity of either kind, with its options at the call. */
interface Callable<K extends StepName> {
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

/** A step that may take its time, or must not be lost with a workflow task: retried until it works or fails for good. */
export function plainStep<K extends StepName>(
  name: K,
  input: StepInput<K>,
  summary: string,
): Promise<StepOutput<K>> {
  return (plain[name] as unknown as Callable<K>).executeWithOptions({ summary }, [input]);
}

/**
 * A short step: at once within the workflow task while its service answers, else as a plain step with the same key.
 * @throws {ActivityFailure} when it failed for good (a final failure of the service) or was cancelled
 */
export async function shortStep<K extends StepName>(
  name: K,
  input: StepInput<K>,
  summary: string,
): Promise<StepOutput<K>> {
  try {
    return await (local[name] as unknown as Callable<K>).executeWithOptions({ summary }, [input]);
  } catch (error) {
    if (isCancellation(error) || isFinalFailure(error)) throw error;
    return plainStep(name, input, summary);
  }
}

/** The service answered, and the answer will not change: repeating the step is no use. */
export function isFinalFailure(error: unknown): boolean {
  return (
    error instanceof ActivityFailure &&
    error.cause instanceof ApplicationFailure &&
    error.cause.nonRetryable === true
  );
}

/** What failed, in plain words without personal data: the activity and the type of its failure. */
export function describeFailure(error: ActivityFailure): string {
  const cause =
    error.cause instanceof ApplicationFailure
      ? (error.cause.type ?? 'unknown')
      : (error.cause?.name ?? 'unknown');
  return `${error.activityType} failed for good: ${cause}`;
}

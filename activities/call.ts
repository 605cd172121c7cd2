/** How an activity calls a service: with the step's key, the activity's cancellation, and typed failures. */
import { activityInfo, cancellationSignal } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { messageOf, Problem } from '../shared/errors.ts';
import type { CallOptions } from '../shared/http/client.ts';
import { continueTrace, requestContext } from '../shared/http/context.ts';

/** What every step is called with: its idempotency key, the same for every attempt of the step. */
export interface Keyed {
  /** `del_…/<step>/<ordinal>` */
  key: string;
}

/**
 * Runs one call to a service inside an activity. A `Problem` becomes an `ApplicationFailure` of type `<slug>` or
 * `<slug>:<reason>`: retryable when the service was down or overloaded, otherwise final.
 * @throws {ApplicationFailure}
 */
export async function callService<T>(
  key: string | undefined,
  call: (options: CallOptions) => Promise<T>,
): Promise<T> {
  const { workflowExecution, activityId } = activityInfo();
  const signal = cancellationSignal();
  const requestId = `${workflowExecution?.workflowId ?? 'activity'}/${activityId}`;
  try {
    return await requestContext.run({ requestId, traceparent: continueTrace(undefined) }, () =>
      call({ signal, ...(key !== undefined && { idempotencyKey: key }) }),
    );
  } catch (error) {
    if (signal.aborted) throw new CancelledFailure('the step was cancelled');
    if (error instanceof Problem) throw failureOf(error);
    throw ApplicationFailure.create({ message: messageOf(error), type: 'unexpected', nonRetryable: false });
  }
}

function failureOf(problem: Problem): ApplicationFailure {
  const type = problem.reason === undefined ? problem.slug : `${problem.slug}:${problem.reason}`;
  const fields = problem.errors?.map((one) => `${one.field} ${one.message}`).join('; ');
  return ApplicationFailure.create({
    type,
    message: fields === undefined ? problem.message : `${problem.message} (${fields})`,
    nonRetryable: !problem.retryable,
  });
}

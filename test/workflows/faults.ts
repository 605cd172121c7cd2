/** Makes activities fail on command: before they act, after they have acted (the answer is lost), or by hanging. */
import { ApplicationFailure } from '@temporalio/common';
import { cancelled } from '@temporalio/activity';
import type { ActivityInboundCallsInterceptor } from '@temporalio/worker';
import type { DeliveryActivities } from '../../activities/index.ts';

export type ActivityName = keyof DeliveryActivities;

export interface Fault {
  activity: ActivityName;
  /**
   * `refuse`: fails for good before acting. `lose_answer`: acts, then fails as if the answer were lost, and is retried.
   * `act_then_refuse`: acts, and fails for good. `down`: fails before acting, retryable. `hang`: never answers.
   * `act_then_hang`: acts, and never answers.
   */
  how: 'refuse' | 'lose_answer' | 'act_then_refuse' | 'down' | 'hang' | 'act_then_hang';
  /** How many calls it hits; every one unless told. */
  times?: number;
  /** Only calls whose key matches. */
  key?: RegExp;
}

/** What was called, in order: the activity, its key and how it went. */
export interface Call {
  activity: ActivityName;
  key: string;
  result: 'ok' | 'failed';
}

export class Faults {
  readonly calls: Call[] = [];
  private armed: (Fault & { left: number })[] = [];
  private readonly released = new Set<() => void>();

  arm(...faults: Fault[]): void {
    this.armed.push(...faults.map((fault) => ({ ...fault, left: fault.times ?? Number.POSITIVE_INFINITY })));
  }

  /** Everything works again, also what hangs. */
  clear(): void {
    this.armed = [];
    for (const release of this.released) release();
    this.released.clear();
  }

  get isHanging(): boolean {
    return this.released.size > 0;
  }

  callsOf(deliveryId: string): Call[] {
    return this.calls.filter((call) => call.key.startsWith(`${deliveryId}/`));
  }

  /** The interceptor of one activity; `before` runs first (it brings the services' clock up to date). */
  interceptor(activity: string, before: () => Promise<void>): ActivityInboundCallsInterceptor {
    return {
      execute: async (input, next) => {
        await before();
        const name = activity as ActivityName;
        const [step] = input.args as [{ key?: string } | undefined];
        const key = step?.key ?? '';
        const fault = this.take(name, key);
        const call: Call = { activity: name, key, result: 'failed' };
        this.calls.push(call);
        if (fault?.how === 'refuse') throw final('refused by the test');
        if (fault?.how === 'down') throw retryable('down, says the test');
        if (fault?.how === 'hang') await this.hang();
        const result: unknown = await next(input);
        if (fault?.how === 'act_then_hang') await this.hang();
        if (fault?.how === 'lose_answer') throw retryable('answer lost by the test');
        if (fault?.how === 'act_then_refuse') throw final('refused by the test, after acting');
        call.result = 'ok';
        return result;
      },
    };
  }

  private take(activity: ActivityName, key: string): Fault | undefined {
    const fault = this.armed.find(
      (one) => one.activity === activity && one.left > 0 && (one.key === undefined || one.key.test(key)),
    );
    if (fault) fault.left -= 1;
    return fault;
  }

  private hang(): Promise<void> {
    const letGo = new Promise<void>((resolve) => this.released.add(resolve));
    return Promise.race([letGo, cancelled()]);
  }
}

const final = (message: string) =>
  ApplicationFailure.create({ message, type: 'test_refusal', nonRetryable: true });
const retryable = (message: string) => ApplicationFailure.create({ message, type: 'unavailable' });

/**
 * Makes activities fail on command: before they act, after they have acted (the answer is lost), or by hanging. Keeps what was called,
 * and what of it reached the services.
 */
import { ApplicationFailure } from '@temporalio/common';
import { cancelled } from '@temporalio/activity';
import type { ActivityInboundCallsInterceptor } from '@temporalio/worker';
import { AsyncResource } from 'node:async_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { DeliveryActivities } from '../../activities/index.ts';
import type { ReconcileActivities } from '../../activities/reconcile.ts';
import type { ResetActivities } from '../../activities/reset.ts';

export type ActivityName = keyof (DeliveryActivities & ReconcileActivities & ResetActivities);

export interface Fault {
  activity: ActivityName;
  /**
   * `refuse`: fails for good before acting. `lose_answer`: acts, then fails as if the answer were lost, and is retried.
   * `act_then_refuse`: acts, and fails for good. `down`: fails before acting, retryable. `hang`: never answers (no time is
   * skipped meanwhile, nor after its attempt has timed out). `act_then_hang`: acts, and never answers. `late`: as if it timed out:
   * the attempt is given up, and acts when what is late is let act. `lie`: does not act, and gives the `answer`. `wrong_key`: acts
   * with another key than its step's, as an activity with a bug would. `slow`: acts after `forMs` of the wall.
   */
  how:
    | 'refuse'
    | 'lose_answer'
    | 'act_then_refuse'
    | 'down'
    | 'hang'
    | 'act_then_hang'
    | 'late'
    | 'lie'
    | 'wrong_key'
    | 'slow';
  answer?: unknown;
  forMs?: number;
  /** How many calls it hits; every one unless told. */
  times?: number;
  /** Only calls whose key matches. */
  key?: RegExp;
  /** Only calls of this delivery. */
  of?: string;
  /** Only once a fault has hit that activity of the same delivery. */
  after?: ActivityName;
}

/** What was called, in order: the activity, its key and how it went. */
export interface Call {
  deliveryId: string;
  activity: ActivityName;
  /** Empty for what only reads. */
  key: string;
  /** The key of the step that it undoes, or goes on with. */
  refersTo: string | null;
  /** A local activity: done before its workflow task is, and lost with it. */
  isLocal: boolean;
  result: 'ok' | 'failed';
  /** The service was called, and answered; of a late call, also with a refusal. */
  acted: boolean;
  /** When it went to its service, and was over, in the order of `ServiceRequest.at`; null: it never did, or is not over. */
  began: number | null;
  ended: number | null;
  /** A fault of the test hit it. */
  hit: boolean;
  /** Which. */
  hitBy: Fault['how'] | null;
}

/** One attempt of an activity. */
export interface Attempt {
  runId: string;
  activityId: string;
  attempt: number;
}

const nameOf = ({ runId, activityId, attempt }: Attempt) => `${runId}/${activityId}/${attempt}`;

/** What a service was asked, as it stands in the request. */
export interface ServiceRequest {
  service: string;
  /** As the service's contract calls it. */
  operation: string;
  method: string;
  /** Its `Idempotency-Key`; undefined when it has none. */
  key: string | undefined;
  body: string;
  /** Its place in the order of all requests and calls. */
  at: number;
  /** The call that it is of; undefined: of none that is under way. */
  call: Call | undefined;
}

/** Where an input names the step that it is about. */
const REFERENCES = ['reroute_key', 'authorize_key', 'register_key', 'reserve_key', 'book_key'];

export class Faults {
  readonly calls: Call[] = [];
  private readonly callsBy = new Map<string, Call[]>();
  private armed: (Fault & { left: number })[] = [];
  private late: { of: string; act: () => Promise<unknown> }[] = [];
  private readonly hangs = new Set<{ of: string; letGo: () => void }>();
  private readonly requests = new Map<string, ServiceRequest[]>();
  /** By the id that the requests of an activity carry: its newest call. */
  private readonly underWay = new Map<string, Call>();
  /** How many activities of a delivery are under way, also those that hang. */
  private readonly acting = new Map<string, number>();
  /** The attempts that have succeeded, as `nameOf`. */
  private readonly done = new Set<string>();
  private moments = 0;

  arm(...faults: Fault[]): void {
    this.armed.push(...faults.map((fault) => ({ ...fault, left: fault.times ?? Number.POSITIVE_INFINITY })));
  }

  /** Everything works again, also what hangs; of one delivery, if told. What is late never acts. */
  clear(of?: string): void {
    this.late = this.late.filter((one) => of !== undefined && of !== one.of);
    this.mend(of);
  }

  /** Everything works again, also what hangs; of one delivery, if told. What is late still is. */
  mend(of?: string): void {
    const isLeft = ({ of: id }: { of?: string }) => of !== undefined && of !== id;
    this.armed = this.armed.filter(isLeft);
    for (const one of [...this.hangs]) if (!isLeft(one)) one.letGo();
  }

  /** What is late of a delivery acts now, in the order in which it was called. */
  async letLateAct(of: string): Promise<void> {
    const late = this.late.filter((one) => one.of === of);
    this.late = this.late.filter((one) => one.of !== of);
    for (const { act } of late) await act();
  }

  /** Notes what has reached a service. `requestId`: of which activity it is, or of somebody else. */
  noteRequest(requestId: string, request: Omit<ServiceRequest, 'at' | 'call'>): void {
    const [deliveryId = '', activityId] = requestId.split('/');
    if (activityId === undefined) return;
    const ofDelivery = this.requests.get(deliveryId) ?? [];
    this.requests.set(deliveryId, ofDelivery);
    ofDelivery.push({ ...request, at: this.nextMoment(), call: this.underWay.get(requestId) });
  }

  /** What the activities of a delivery have asked the services, in the order in which it got there. */
  requestsOf(deliveryId: string): readonly ServiceRequest[] {
    return this.requests.get(deliveryId) ?? [];
  }

  private nextMoment(): number {
    this.moments += 1;
    return this.moments;
  }

  /** How many calls never answer. */
  get hanging(): number {
    return this.hangs.size;
  }

  isHanging(of: string): boolean {
    return [...this.hangs].some((one) => one.of === of);
  }

  /** An activity of it is under way, and does not hang. */
  isActing(of: string): boolean {
    const hanging = [...this.hangs].filter((one) => one.of === of).length;
    return (this.acting.get(of) ?? 0) > hanging;
  }

  /** It has succeeded: its workflow hears of it any moment. */
  isDone(attempt: Attempt): boolean {
    return this.done.has(nameOf(attempt));
  }

  callsOf(deliveryId: string): Call[] {
    return [...(this.callsBy.get(deliveryId) ?? [])];
  }

  /** The interceptor of one activity; `before` runs first (it brings the services' clock up to date). */
  interceptor(
    {
      activityType,
      activityId,
      attempt,
      runId,
      deliveryId,
      isLocal,
    }: Attempt & { activityType: string; deliveryId: string; isLocal: boolean },
    before: () => Promise<void>,
  ): ActivityInboundCallsInterceptor {
    const execute: NonNullable<ActivityInboundCallsInterceptor['execute']> = async (input, next) => {
      await before();
      const activity = activityType as ActivityName;
      const [step] = input.args as [Record<string, unknown> | undefined];
      const key = typeof step?.['key'] === 'string' ? step['key'] : '';
      const refersTo = REFERENCES.map((name) => step?.[name]).find((one) => typeof one === 'string') ?? null;
      const fault = this.take({ activity, key, deliveryId });
      const call: Call = {
        deliveryId,
        activity,
        key,
        refersTo,
        isLocal,
        result: 'failed',
        acted: false,
        began: null,
        ended: null,
        hit: fault !== undefined,
        hitBy: fault?.how ?? null,
      };
      this.note(call);
      const act = (acting = input) => this.act(`${deliveryId}/${activityId}`, call, () => next(acting));
      if (fault?.how === 'refuse') throw final('refused by the test');
      if (fault?.how === 'down') throw retryable('down, says the test');
      if (fault?.how === 'hang') await this.hang(deliveryId);
      if (fault?.how === 'slow') await delay(fault.forMs);
      if (fault?.how === 'late') {
        // In the context of this attempt; whatever it is told, nobody hears it any more.
        const actLate = AsyncResource.bind(() =>
          act().then(
            () => (call.acted = true),
            (error: unknown) => (call.acted = isRefusal(error)),
          ),
        );
        this.late.push({ of: deliveryId, act: actLate });
        throw retryable('timed out, says the test');
      }
      const wrong = { ...input, args: [{ ...step, key: `${key}0` }] };
      const result: unknown =
        fault?.how === 'lie' ? fault.answer : await act(fault?.how === 'wrong_key' ? wrong : input);
      call.acted = fault?.how !== 'lie';
      if (fault?.how === 'act_then_hang') await this.hang(deliveryId);
      if (fault?.how === 'lose_answer') throw retryable('answer lost by the test');
      if (fault?.how === 'act_then_refuse') throw final('refused by the test, after acting');
      call.result = 'ok';
      this.done.add(nameOf({ runId, activityId, attempt }));
      return result;
    };
    return { execute: (input, next) => this.whileActing(deliveryId, () => execute(input, next)) };
  }

  private async whileActing<R>(of: string, act: () => Promise<R>): Promise<R> {
    this.acting.set(of, (this.acting.get(of) ?? 0) + 1);
    try {
      return await act();
    } finally {
      this.acting.set(of, (this.acting.get(of) ?? 0) - 1);
    }
  }

  private note(call: Call): void {
    this.calls.push(call);
    const ofDelivery = this.callsBy.get(call.deliveryId) ?? [];
    this.callsBy.set(call.deliveryId, ofDelivery);
    ofDelivery.push(call);
  }

  private async act<R>(requestId: string, call: Call, acting: () => Promise<R>): Promise<R> {
    this.underWay.set(requestId, call);
    call.began = this.nextMoment();
    try {
      return await acting();
    } finally {
      call.ended = this.nextMoment();
    }
  }

  private take({
    activity,
    key,
    deliveryId,
  }: Pick<Call, 'activity' | 'key' | 'deliveryId'>): Fault | undefined {
    const fault = this.armed.find(
      (one) =>
        one.activity === activity &&
        one.left > 0 &&
        (one.key === undefined || one.key.test(key)) &&
        (one.of === undefined || one.of === deliveryId) &&
        (one.after === undefined || this.hasHit(one.after, deliveryId)),
    );
    if (fault) fault.left -= 1;
    return fault;
  }

  private hasHit(activity: ActivityName, deliveryId: string): boolean {
    return this.callsOf(deliveryId).some((call) => call.hit && call.activity === activity);
  }

  private async hang(deliveryId: string): Promise<void> {
    const entry = { of: deliveryId, letGo: () => {} };
    const letGo = new Promise<void>((resolve) => {
      entry.letGo = resolve;
    });
    this.hangs.add(entry);
    try {
      await Promise.race([letGo, cancelled()]);
    } finally {
      this.hangs.delete(entry);
    }
  }
}

/** The service's own no, and not that it could not be asked. */
const isRefusal = (error: unknown): boolean =>
  error instanceof ApplicationFailure && error.nonRetryable === true;

const final = (message: string) =>
  ApplicationFailure.create({ message, type: 'test_refusal', nonRetryable: true });
const retryable = (message: string) => ApplicationFailure.create({ message, type: 'unavailable' });

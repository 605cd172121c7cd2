/**
 * What a case wants to happen to a delivery while it waits for something: an order, or the end of its time. It proves something only
 * if it took effect while that wait was on, so nothing else is done to the delivery from when the wait is seen until it has.
 */
import { type Wait, WAITS } from '../../../workflows/delivery/registry.ts';
import type { Call } from '../faults.ts';
import type { OrderAnswer, Ordered } from './people.ts';

export const ORDERS = ['cancel', 'abort', 'deadline'] as const;
export type Order = (typeof ORDERS)[number];

export interface AtWait {
  wait: Wait;
  order: Order;
}

/** Gives the order. */
export type Asks = (what: Exclude<Order, 'deadline'>) => Promise<Ordered>;

/** What is seen of the delivery when nothing is left to do at this moment. */
export interface Look {
  /** Null: for nothing, or it has ended. */
  waitingFor: string | null;
  /** Until when, Unix milliseconds; null: for as long as it takes. */
  untilMs: number | null;
  nowMs: number;
  calls: readonly Call[];
}

/** A hanging answer is given up after this, milliseconds. */
const ANSWERED_WITHIN_MS = 10_000;

export class WaitedFor {
  private readonly at: AtWait;
  private readonly asks: Asks;
  /** The last look at which the wait was on. */
  private seen: Look | undefined;
  private ordered: Ordered | undefined;
  private answer: OrderAnswer | undefined;
  /** What it went on with: another wait, or its end. */
  private next: string | undefined;
  private tookEffect = false;

  constructor(at: AtWait, asks: Asks) {
    this.at = at;
    this.asks = asks;
  }

  /** It has happened: the delivery may go on. */
  get isOver(): boolean {
    return this.tookEffect;
  }

  /**
   * To be told of every look, until it is over.
   * @returns `acted`: something was ordered now; `hold`: nothing else may be done to it; `free`: it is not at the wait
   */
  async look(now: Look): Promise<'acted' | 'hold' | 'free'> {
    const before = this.seen;
    const isOn = now.waitingFor === this.at.wait;
    if (before) {
      this.tookEffect = this.ordered
        ? await this.wasHeard(this.ordered, before, now)
        : this.wasOver(before, now);
      if (this.tookEffect) {
        this.next = isOn ? 'it goes on waiting' : (now.waitingFor ?? 'its end');
        return 'free';
      }
    }
    this.seen = isOn ? now : undefined;
    if (!isOn) return 'free';
    if (this.at.order === 'deadline' || this.ordered) return 'hold';
    this.ordered = await this.asks(this.at.order);
    return 'acted';
  }

  /** This is the first look since, before time was let pass: its answer is there, or it has led to something. */
  private async wasHeard(ordered: Ordered, before: Look, now: Look): Promise<boolean> {
    const isMoving = now.waitingFor !== before.waitingFor || now.calls.length > before.calls.length;
    if (!isMoving) this.answer = await inTime(ordered.answer());
    return isMoving || this.answer !== undefined;
  }

  /** Its time was over, and that has ended the wait, or has led to another time; one that comes by itself has ended it. */
  private wasOver(before: Look, now: Look): boolean {
    if (before.untilMs === null || now.nowMs < before.untilMs) return false;
    const isAnotherTime = WAITS[this.at.wait].within !== null && now.untilMs !== before.untilMs;
    return now.waitingFor !== before.waitingFor || isAnotherTime;
  }

  /** What it was answered, or went on with. To be asked when the delivery has ended. */
  async outcome(): Promise<string> {
    if (!this.ordered) return `then ${this.next ?? 'nothing'}`;
    this.answer ??= await inTime(this.ordered.answer());
    if (!this.answer) return 'no answer';
    const { outcome, reason } = this.answer;
    return reason === null ? outcome : `${outcome} (${reason})`;
  }

  violations(): string[] {
    const { wait, order } = this.at;
    if (this.tookEffect) return [];
    return [`the ${order} never took effect while it waited for ${wait}`];
  }
}

/** Undefined when it is not there in time, or never will be. */
async function inTime<T>(answer: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ANSWERED_WITHIN_MS);
  });
  try {
    return await Promise.race([answer.catch(() => undefined), late]);
  } finally {
    clearTimeout(timer);
  }
}

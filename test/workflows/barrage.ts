/**
 * Everything that a delivery may be told, all at once and each thing twice, with what it was asked and its drones have told before: sent
 * as one run of its workflow ends and the next begins, each has to take effect once.
 */
import { isoTime } from '../../shared/clock.ts';
import { newId } from '../../shared/ids.ts';
import type { Location, PickupWindow } from '../../shared/schemas.ts';
import { DRONE_MILESTONE_SIGNAL, type DroneMilestoneSignal } from '../../workflows/messages.ts';
import type { LabDelivery } from './lab-delivery.ts';

const BY = { actor: { role: 'operator', id: 'test' }, why: 'the test wants it' } as const;
const TIMEOUT_MS = 60_000;
/** So many of its reservations tell all that they have told again: the newest. */
const TOLD_AGAIN = 2;

/** What is asked for. */
export interface Barraged {
  window?: PickupWindow;
  place?: Location;
  orders?: ('cancel' | 'abort')[];
  /** Nothing of it is sent before this has happened. */
  after?: () => Promise<void>;
}

export class Barrage {
  /** What has been asked for, in its order. */
  readonly windows: PickupWindow[] = [];
  readonly places: Location[] = [];
  /** What was answered to a repetition, and not to the first. */
  readonly answeredOtherwise: unknown[] = [];
  private readonly delivery: LabDelivery;
  private readonly sent: { ask: () => Promise<unknown>; answer: unknown }[][] = [];
  private readonly crossed = new Map<string, number>();
  private round = 0;

  constructor(delivery: LabDelivery) {
    this.delivery = delivery;
  }

  /** How often a new run has begun while everything was being sent there. */
  crossings(exit: string): number {
    return this.crossed.get(exit) ?? 0;
  }

  /**
   * Sends it, at the `exit` from which a new run may begin, and waits for every answer.
   * @param meanwhile called when all of it is on its way
   * @returns what was answered, each answer once
   */
  async send(exit: string, asked: Barraged, meanwhile: () => void = () => undefined): Promise<unknown[]> {
    const { lab } = this.delivery.scene;
    this.round += 1;
    const signals = await this.milestones();
    const before = await this.runId();
    await asked.after?.();
    const asks = this.asks(asked);
    const sending = Promise.all([
      ...[...asks, ...asks].map((ask) => ask()),
      ...signals.map((one) => lab.workflows.signal(this.delivery.id, DRONE_MILESTONE_SIGNAL, one)),
    ]);
    const repeating = this.repeat(this.sent[Math.floor(this.round / 2)] ?? []);
    meanwhile();
    const answers = await sending;
    await repeating;
    this.sent[this.round] = asks.map((ask, at) => ({ ask, answer: answers[at] }));
    await lab.settle();
    if ((await this.runId()) !== before) this.crossed.set(exit, this.crossings(exit) + 1);
    return [...new Set(answers.map((one) => JSON.stringify(one)))].map((one): unknown => JSON.parse(one));
  }

  private async repeat(earlier: { ask: () => Promise<unknown>; answer: unknown }[]): Promise<void> {
    for (const { ask, answer } of earlier) {
      const again = await ask();
      if (JSON.stringify(again) !== JSON.stringify(answer)) this.answeredOtherwise.push(again);
    }
  }

  private asks({ window, place, orders = [] }: Barraged): (() => Promise<unknown>)[] {
    const { id, scene } = this.delivery;
    const { workflows } = scene.lab;
    const { round } = this;
    const options = (what: string) => ({ updateId: `${what}-${round}`, timeoutMs: TIMEOUT_MS });
    if (window) this.windows.push(window);
    if (place) this.places.push(place);
    const actor = { role: 'business', id: scene.accountId } as const;
    const dropoff = place && { location: place, address: 'The other door' };
    const cancel = { ...BY, reason: 'requested_by_operator' } as const;
    return [
      ...(window
        ? [() => workflows.reschedule(id, { ...BY, actor, pickupWindow: window }, options('reschedule'))]
        : []),
      ...(dropoff
        ? [() => workflows.changeDropoff(id, { ...BY, actor, dropoff }, options('changeDropoff'))]
        : []),
      ...orders.map(
        (what) => () =>
          what === 'cancel'
            ? workflows.cancel(id, cancel, options(what))
            : workflows.order(id, what, BY, options(what)),
      ),
    ];
  }

  /** What its last drones have told, and what a drone tells that is none of its own. */
  private async milestones(): Promise<DroneMilestoneSignal[]> {
    const { drone } = this.delivery.scene.lab.clients;
    const { data } = await drone.listReservations({ query: { delivery_id: this.delivery.id } });
    const told = await Promise.all(
      data.slice(0, TOLD_AGAIN).map(async ({ id, token, drone_id }) => {
        const milestones = await drone.readMilestones({
          params: { reservation_id: id },
          query: { after_sequence: 0 },
        });
        return milestones.data.map((one): DroneMilestoneSignal => ({
          reservationId: id,
          reservationToken: token,
          sequence: one.sequence,
          kind: one.kind,
          droneId: drone_id,
          occurredAt: one.occurred_at,
          recordedAt: one.recorded_at,
          position: one.position,
          detail: one.detail,
        }));
      }),
    );
    const now = isoTime(this.delivery.scene.lab.nowMs);
    const stranger: DroneMilestoneSignal = {
      reservationId: newId('reservation'),
      reservationToken: 1,
      sequence: 1,
      kind: 'loaded',
      droneId: newId('drone'),
      occurredAt: now,
      recordedAt: now,
      position: null,
      detail: {},
    };
    return [...told.flat(), stranger];
  }

  private async runId(): Promise<string> {
    return (await this.delivery.handle.describe()).runId;
  }
}

/** The runs of its workflow, the first one first: how many events the history of each has. */
export async function runsOf({ id, scene: { lab } }: LabDelivery): Promise<number[]> {
  const runs: number[] = [];
  let runId: string | undefined;
  do {
    const { events } = await lab.temporal.workflow.getHandle(id, runId).fetchHistory();
    runs.unshift(events?.length ?? 0);
    runId = events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId ?? '';
  } while (runId !== '');
  return runs;
}

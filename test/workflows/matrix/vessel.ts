/** One delivery on its voyage: what is to be done to it is done when it is time, and what came of it is told. */
import type { Delivery } from '../../../services/delivery/contract/index.ts';
import { isFinal } from '../../../services/delivery/contract/status.ts';
import { distanceM } from '../../../shared/geodesy.ts';
import { newId } from '../../../shared/ids.ts';
import type { DeliveryOutcome, DeliveryState } from '../../../workflows/messages.ts';
import type { HeldRow, Tables } from '../../checker/held-rows.ts';
import type { Fault } from '../faults.ts';
import type { Lab } from '../lab.ts';
import type { LabDelivery } from '../lab-delivery.ts';
import { WaitedFor } from './at-a-wait.ts';
import type { Intervenes } from './journeys.ts';
import { unnamed } from './naming.ts';
import { askTo } from './people.ts';
import { isLikeAfterLostTask } from './requests.ts';
import { violationsOf } from './violations.ts';
import type { Asked, Plan, Sea, Seen, Voyage, Waited } from './voyage.ts';

/** How long an intervention stays open until it names what is held, wall milliseconds. */
const NAMING_MS = 20 * 60 * 1000;
/** A compensation that does not succeed becomes an intervention soon. */
const STUCK_S = 10;

export class Vessel {
  readonly delivery: LabDelivery;
  hasArrived = false;
  private readonly lab: Lab;
  private readonly tables: Tables;
  private readonly plan: Plan;
  private readonly toDo: Set<Intervenes>;
  private readonly atWait: WaitedFor | undefined;
  private readonly waits: Waited[] = [];
  private readonly asked: Asked[] = [];
  private readonly openSinceMs = new Map<string, number>();
  private waitingFor: string | null = null;
  private waitingSinceMs = 0;
  private hasEnded = false;
  private acted = false;
  private heldAtItsEnd: HeldRow[] = [];
  private heldSinceLate: HeldRow[] = [];
  private said: DeliveryState | undefined;
  /** How many events its history had when it was last looked at. */
  private events: number | undefined;
  /** It has done something since nobody was asked anything. */
  private mayAsk = false;
  /** All its waits are wanted; otherwise it is asked what it waits for only as long as something is to be done on the way. */
  private readonly isWatched: boolean;

  private constructor({ lab, tables }: Sea, plan: Plan, delivery: LabDelivery, isWatched: boolean) {
    this.isWatched = isWatched;
    this.lab = lab;
    this.tables = tables;
    this.plan = plan;
    this.delivery = delivery;
    this.toDo = new Set([...(plan.journey.onTheWay ?? []), ...(plan.onTheWay ?? [])]);
    this.atWait = plan.atWait && new WaitedFor(plan.atWait, (what) => askTo(what, delivery));
  }

  /** Its scene; it is ordered when it is launched. */
  static async prepare(sea: Sea, plan: Plan, isWatched: boolean): Promise<() => Promise<Vessel>> {
    const { lab } = sea;
    const { journey, externalId } = plan;
    const scene = await lab.prepare(journey.options);
    await journey.prepare?.(scene, lab);
    const id = newId('delivery');
    lab.faults.arm(...faultsOf(plan).map((fault) => ({ ...fault, of: id })));
    const policy = { compensationStuckS: STUCK_S, ...journey.options?.policy, ...plan.policy };
    const options = { ...journey.options, id, policy, ...(externalId !== undefined && { externalId }) };
    return async () => new Vessel(sea, plan, await scene.order(options), isWatched);
  }

  /** Does what is to be done at this moment. True when it has arrived, and there is nothing left to do or to wait for. */
  async goOn(): Promise<boolean> {
    if (this.hasArrived) return true;
    const { lab, delivery, tables } = this;
    if (!this.hasEnded) {
      const isChanged = lab.eventsOf(delivery) === undefined || lab.eventsOf(delivery) !== this.events;
      this.events = lab.eventsOf(delivery);
      this.mayAsk ||= isChanged && this.hasEverAsked();
      if ((await this.doWhatIsToDo(isChanged)) === 'free') await this.answerWhoAsks();
      this.hasEnded = !lab.isOpen(delivery);
      if (this.hasEnded) await this.end();
      return false;
    }
    // As long as a drone of it is under way, that is held.
    const isOnItsWayHome = delivery.scene.droneIds.some((id) => lab.pilot.isOnMission(id));
    this.hasArrived = !isOnItsWayHome && (await tables.heldFor(delivery.id)).length === 0;
    return this.hasArrived;
  }

  private hasEverAsked(): boolean {
    const calls = this.lab.faults.callsOf(this.delivery.id);
    return calls.some(({ key }) => key.includes('/event_intervention_opened/'));
  }

  /** Calls that were taken for dead arrive now, after everything. What they take is seen before time passes, which may give it back. */
  private async end(): Promise<void> {
    const { lab, delivery, tables, plan } = this;
    const before = await tables.heldFor(delivery.id);
    this.heldAtItsEnd = before.filter(({ homeward }) => !homeward);
    await plan.beforeWhatIsLate?.(delivery.id);
    await lab.faults.letLateAct(delivery.id);
    const wasThere = new Set(before.map((row) => JSON.stringify(row)));
    const after = await tables.heldFor(delivery.id);
    this.heldSinceLate = after.filter((row) => !wasThere.has(JSON.stringify(row)));
    lab.faults.clear(delivery.id);
  }

  /** One thing at a time: what each of them leads to is seen before the next. */
  private async doWhatIsToDo(isChanged: boolean): Promise<'acted' | 'hold' | 'free'> {
    const atWait = this.atWait?.isOver === true ? undefined : this.atWait;
    if (!this.isWatched && this.toDo.size === 0 && !atWait) return 'free';
    const { seen, untilMs } = await this.look(isChanged);
    if (atWait) {
      const waitingFor = isFinal(seen.status) || !this.lab.isOpen(this.delivery) ? null : seen.waitingFor;
      const nowMs = this.lab.wallNowMs;
      const then = await atWait.look({ waitingFor, untilMs, nowMs, calls: seen.calls });
      this.acted ||= then === 'acted';
      if (then !== 'free') return then;
    }
    const next = [...this.toDo].find((one) => one.when(seen));
    if (!next) return 'free';
    this.toDo.delete(next);
    await next.act(this.delivery);
    this.acted = true;
    return 'acted';
  }

  /** Whether anything was done to it since it was last asked. */
  hasActed(): boolean {
    const { acted } = this;
    this.acted = false;
    return acted;
  }

  async report(): Promise<Voyage> {
    const { lab, tables, delivery, plan } = this;
    const record = await delivery.read();
    const { status, complete, cancellation_reason, failure_reason, compensation, interventions } = record;
    const reason = failure_reason ?? cancellation_reason;
    const isOpen = lab.isOpen(delivery);
    const requests = lab.faults.requestsOf(delivery.id);
    const result = isOpen
      ? undefined
      : await delivery.handle.result().then(
          (outcome) => outcome as DeliveryOutcome,
          () => undefined,
        );
    const voyage = {
      plan,
      deliveryId: delivery.id,
      end: reason === null ? status : `${status} (${reason})`,
      outcome: result,
      charged: await tables.chargedFor(delivery.id),
      calls: lab.faults.callsOf(delivery.id),
      requests,
      tasksLost: isLikeAfterLostTask(requests) ? await delivery.tasksLost() : 0,
      waits: this.waits,
      asked: this.asked,
      cameOfIt: (await this.atWait?.outcome()) ?? '',
      heldAtItsEnd: this.heldAtItsEnd,
      heldSinceLate: this.heldSinceLate,
      held: await tables.heldFor(delivery.id),
      offTheMarkM: await this.offTheMarkM(record),
      creditNotes: await tables.creditNotesFor(delivery.id),
      openInterventions: interventions.filter((one) => one.resolved_at === null).map(({ kind }) => kind),
    };
    const events = await delivery.events();
    lab.faults.clear(delivery.id);
    return {
      ...voyage,
      violations: [
        ...(isOpen ? [`its workflow is still open, waiting for ${await this.whatItWaitsFor()}`] : []),
        ...(isOpen || result ? [] : ['its workflow failed']),
        ...this.missed(),
        ...(complete ? [] : [`it is not complete: ${status}, compensation ${compensation}`]),
        ...violationsOf(voyage, events),
      ],
    };
  }

  private async whatItWaitsFor(): Promise<string> {
    const { waitingFor } = await this.delivery.handle.query<DeliveryState>('state');
    return waitingFor ?? 'nothing';
  }

  /** How far from its dropoff, or from its pickup when it came back, a drone has set it down, metres; 0 when none has. */
  private async offTheMarkM({ status, dropoff, pickup }: Delivery): Promise<number> {
    const setDownAt = await this.tables.setDownAt(this.delivery.id);
    if (setDownAt === null) return 0;
    return distanceM(setDownAt, (status === 'returned' ? pickup : dropoff).location);
  }

  /** What was to happen to it and did not: then it proves nothing. */
  private missed(): string[] {
    const { journey, faults = [], onTheWay = [] } = this.plan;
    const calls = this.lab.faults.callsOf(this.delivery.id);
    const isDisturbed = faults.length > 0 || onTheWay.length > 0 || this.atWait !== undefined;
    const due = [...(isDisturbed ? [] : (journey.onTheWay ?? [])), ...onTheWay];
    return [
      ...faultsOf(this.plan)
        .filter(
          ({ activity, how, key }) =>
            !calls.some(
              (call) => call.activity === activity && call.hitBy === how && (key?.test(call.key) ?? true),
            ),
        )
        .map(({ activity }) => `nothing happened to ${activity}`),
      ...calls
        .filter(({ hitBy, acted }) => hitBy === 'late' && !acted)
        .map(({ activity, key }) => `${activity} of ${key} was late and never acted`),
      ...due.filter((one) => this.toDo.has(one)).map(() => 'it was never time for what was to be done'),
      ...(this.atWait?.violations() ?? []),
    ];
  }

  /** What its workflow says of itself is asked again only when it has done something since. */
  private async look(isChanged: boolean): Promise<{ seen: Seen; untilMs: number | null }> {
    const { lab, delivery } = this;
    if (isChanged || !this.said) this.said = await delivery.handle.query<DeliveryState>('state');
    const { waitingFor, until, status } = this.said;
    if (waitingFor !== this.waitingFor) {
      this.waitingFor = waitingFor;
      this.waitingSinceMs = lab.wallNowMs;
      if (waitingFor !== null) this.waits.push({ waitingFor, isBounded: until !== null });
    }
    const seen = {
      status,
      waitingFor,
      waitedMs: lab.wallNowMs - this.waitingSinceMs,
      retriesInMs: lab.retriesAtMs(delivery) - lab.wallNowMs,
      isLoadingInSilence: await this.isLoadingInSilence(),
      calls: lab.faults.callsOf(delivery.id),
    };
    return { seen, untilMs: until === null ? null : Date.parse(until) };
  }

  private async isLoadingInSilence(): Promise<boolean> {
    const { lab, delivery } = this;
    const { droneIds } = delivery.scene;
    if (!droneIds.some((id) => lab.pilot.has(id) && lab.pilot.look(id).linkLostUntilMs !== null))
      return false;
    const { data } = await lab.clients.drone.listReservations({ query: { delivery_id: delivery.id } });
    return data.some(({ loading }) => loading === 'granted');
  }

  /** A person who waits until the others have gone on, looks at what is left, has the cause removed, and answers. */
  private async answerWhoAsks(): Promise<void> {
    const { delivery, lab } = this;
    const { answer: journeyAnswer } = this.plan.journey;
    if (!this.mayAsk) return;
    const { interventions, status } = await delivery.read();
    const open = interventions.filter((one) => one.resolved_at === null);
    this.mayAsk = open.length > 0;
    if (open.length === 0) return;
    const misnamed = await this.unnamed(open, isFinal(status));
    for (const { id, kind, answers, reason } of open) {
      const sinceMs = this.openSinceMs.get(id) ?? lab.wallNowMs;
      this.openSinceMs.set(id, sinceMs);
      if (misnamed.length > 0 && lab.wallNowMs - sinceMs < NAMING_MS) continue;
      // The one that it waits for may still be asked.
      const isOffered = answers.some((one) => one.answer === journeyAnswer);
      if (journeyAnswer !== undefined && !isOffered && kind === 'drone_down') continue;
      // What the journey leads to is answered with the cause still there.
      if (!isOffered) lab.faults.mend(delivery.id);
      if (reason.includes('still being retried')) {
        // The next attempt succeeds by itself.
        if (!this.asked.some((one) => one.kind === kind))
          this.asked.push({ kind, answer: '(works again)', unnamed: misnamed });
        continue;
      }
      const answer =
        [...(journeyAnswer === undefined ? [] : [journeyAnswer]), 'retry', 'wait', 'carry_on'].find((one) =>
          answers.some((it) => it.answer === one),
        ) ?? 'lost';
      const actor = { role: 'operator', id: 'test' };
      await delivery.handle.executeUpdate('resolveIntervention', {
        args: [{ interventionId: id, answer, why: 'the test says so', actor }],
      });
      this.acted = true;
      this.asked.push({ kind, answer, unnamed: misnamed });
    }
  }

  private async unnamed(open: { kind: string; reason: string }[], isOver: boolean): Promise<string[]> {
    const { lab, tables, delivery } = this;
    const about = open.filter(({ kind }) => kind.startsWith('compensation:'));
    if (about.length === 0) return [];
    const [held, reroutes] = await Promise.all([
      tables.heldFor(delivery.id),
      tables.reroutesFor(delivery.id),
    ]);
    return unnamed({ open: about, held, reroutes, calls: lab.faults.callsOf(delivery.id), isOver });
  }
}

/** Of the disturbance, and of the journey itself. */
const faultsOf = ({ faults = [], journey: { lies = [] } }: Plan): Omit<Fault, 'of'>[] => [...faults, ...lies];

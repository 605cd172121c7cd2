/**
 * The delivery as the workflow knows it, and the one way it changes: the state machine is asked, the event is written to the
 * delivery service, then the Temporal UI is told. Writes happen one after the other, each with its own key.
 */
import {
  ApplicationFailure,
  condition,
  patched,
  setCurrentDetails,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { SearchAttributeUpdatePair } from '@temporalio/common';
import type { ToldReset } from '../../activities/reset.ts';
import {
  canTransition,
  type DeliveryStatus,
  isBeforePickup,
  isFinal,
  statusesBetween,
} from '../../services/delivery/contract/status.ts';
import { interventionIdOf } from '../../services/delivery/contract/interventions.ts';
import type { DeliveryPatch, NewDeliveryEvent } from '../../services/delivery/contract/index.ts';
import { clockTimeMs, isoTime, wallDurationMs } from '../../shared/clock.ts';
import type { BaseId, DeliveryId } from '../../shared/ids.ts';
import { DELIVERY_SEARCH_ATTRIBUTES as KEYS } from '../../shared/temporal/search-attributes.ts';
import {
  nameOf,
  type DeliveryInput,
  type DeliveryState,
  type ResolveInterventionCommand,
} from '../messages.ts';
import { type PendingAnswer, PendingAnswers } from './answers.ts';
import { COMPENSATION_KIND } from './compensation.ts';
import { detailsOf, orderedBy } from './details.ts';
import { eventStep, Repetition } from './repetition.ts';
import { nextKey, type Ordinals, plainStep, shortStep, StepFailed, type StepInput } from './steps.ts';

export interface EventDetails {
  /** By the delivery's clock, Unix milliseconds; now unless told. */
  occurredAtMs?: number;
  data?: Record<string, unknown>;
  patch?: DeliveryPatch;
  changeDropoff?: NonNullable<NewDeliveryEvent['change_dropoff']>;
}

const AFTER_ITS_CAUSE = 'events-after-their-cause';
/**
 * Written only once what led to it is in the history, and not by a short step: the outcome, and what time or an update brings about. A
 * short step is done before its workflow task is. When that is lost, the update is lost with it, and what has come meanwhile may be
 * settled before the time was over: the event would stand in the record of a delivery that went another way. What a milestone or a
 * step's answer brings about comes again: those are in the history first. Not so the answer of a step for which nobody waits long, as for
 * what a flight back costs: done again, it may come too late, and what followed from it would be captured by then. Each with the change
 * since when it is so.
 */
const NOT_YET_IN_THE_HISTORY: ReadonlyMap<string, string> = new Map([
  ['delivery.cancelled', 'outcome-after-its-cause'],
  ['delivery.failed', 'outcome-after-its-cause'],
  ['delivery.cancel_requested', AFTER_ITS_CAUSE],
  ['delivery.confirmation_failed', AFTER_ITS_CAUSE],
  ['delivery.dropoff_change_refused', AFTER_ITS_CAUSE],
  ['delivery.dropoff_change_requested', AFTER_ITS_CAUSE],
  ['delivery.dropoff_changed', AFTER_ITS_CAUSE],
  ['delivery.intervention_opened', AFTER_ITS_CAUSE],
  ['delivery.intervention_resolved', AFTER_ITS_CAUSE],
  ['delivery.order_answered', AFTER_ITS_CAUSE],
  ['delivery.overdue', AFTER_ITS_CAUSE],
  ['delivery.recipient_absent', AFTER_ITS_CAUSE],
  ['delivery.rescheduled', AFTER_ITS_CAUSE],
  ['delivery.return_authorized', 'return-price-after-its-cause'],
  ['delivery.return_not_authorized', 'return-price-after-its-cause'],
]);

/** How events are written: at once within the workflow task, or by an activity of Temporal's own. */
type Append = typeof plainStep<'appendEvents'>;

export interface OpenedIntervention {
  id: string;
  kind: string;
  reason: string;
  answers: { answer: string; effect: string }[];
}

interface Resolution {
  answer: string;
  by: string;
  why: string;
}

const resolutionBy = ({ answer, actor, why }: ResolveInterventionCommand): Resolution => ({
  answer,
  by: nameOf(actor),
  why,
});

/** The record as data, for a run that goes on. */
export interface CarriedRecord {
  ordinals: Ordinals;
  state: DeliveryState;
  interventions: OpenedIntervention[];
  delayed: boolean;
  /** Absent: nothing was let go. */
  hasLetGo?: boolean;
  /** Absent: it was not reset. */
  isReset?: boolean;
}

const HISTORY_SHOWN = 20;

/** The kind of the intervention about an event that the delivery service refuses for good. */
const UNRECORDED = 'unrecorded';

export class DeliveryRecord {
  readonly ordinals: Ordinals = {};
  readonly state: DeliveryState = {
    status: 'created',
    attempt: 0,
    droneId: null,
    bookingId: null,
    failureReason: null,
    cancellationReason: null,
    compensation: 'none',
    waitingFor: null,
    until: null,
    openInterventions: [],
    history: [],
  };
  private readonly input: DeliveryInput;
  private readonly interventions = new Map<string, OpenedIntervention>();
  private delayed = false;
  private tail: Promise<void> = Promise.resolve();
  /** A write that is refused for good can no longer end the delivery. */
  private isConcluding = false;
  /** People's answers that nobody has taken yet. */
  readonly answers = new PendingAnswers();
  /** A person has let an event go that could not be recorded: the statuses in the record may lag behind. */
  private hasLetGo = false;
  /** Of the last event that was asked for. */
  private lastStatus: DeliveryStatus;
  /** What it goes through again, when its workflow was reset. */
  readonly repetition: Repetition;
  /** The delivery has ended, and not by this run: it writes nothing, and only undoes. */
  hasEndedElsewhere = false;
  /** Called when it turns out that the delivery has ended elsewhere. */
  onEndedElsewhere: () => void = () => undefined;
  /** Called when a person is asked something that was answered before. */
  onAnsweredBefore: (command: ResolveInterventionCommand) => void = () => undefined;

  constructor(input: DeliveryInput, carried?: CarriedRecord) {
    this.input = input;
    if (carried) Object.assign(this.state, carried.state);
    this.lastStatus = this.state.status;
    this.repetition = new Repetition(this.state, this.ordinals, carried?.isReset ?? false);
    if (!carried) return;
    Object.assign(this.ordinals, carried.ordinals);
    this.hasLetGo = carried.hasLetGo ?? false;
    for (const intervention of carried.interventions) this.interventions.set(intervention.id, intervention);
    this.delayed = carried.delayed;
  }

  carried(): CarriedRecord {
    const { ordinals, state, delayed, hasLetGo, repetition } = this;
    const { isReset } = repetition;
    const interventions = [...this.interventions.values()];
    return { ordinals, state, interventions, delayed, hasLetGo, ...(isReset && { isReset }) };
  }

  /** Its workflow was reset. */
  async wasReset(seen: ToldReset): Promise<void> {
    this.repetition.begin(seen);
    this.showInDetails(isoTime(this.nowMs()), `workflow_reset: ${seen.reason}`);
    for (const one of [...this.interventions.values()]) {
      this.answerAsBefore(one.id);
      // Closed since, in a run that is gone.
      if (!seen.interventions.includes(one.id)) await this.append(this.openingOf(one));
    }
  }

  /** The delivery has ended, and not by this run. */
  endedElsewhere(ended: Partial<DeliveryState> & Pick<DeliveryState, 'status'>): void {
    Object.assign(this.state, ended);
    this.lastStatus = ended.status;
    this.repetition.end();
    this.hasEndedElsewhere = true;
    this.onEndedElsewhere();
  }

  private answerAsBefore(interventionId: string): void {
    const command = this.repetition.takeAnswer(interventionId);
    if (command) this.onAnsweredBefore(command);
  }

  /** Settles when every event is written that was asked for, or given up by a person. */
  written(): Promise<void> {
    return this.tail;
  }

  /** The delivery has come to its end: what is written from now on is written, or a person says that it need not be. */
  conclude(): void {
    this.isConcluding = true;
  }

  /** Holds a person's answer until it is taken, or the intervention closes without it. */
  holdAnswer(command: ResolveInterventionCommand): PendingAnswer {
    const pending = this.answers.put(command);
    const { interventionId } = command;
    // Closed between the validator and here.
    if (!this.interventions.has(interventionId))
      this.answers.close(interventionId, 'it has just been closed');
    return pending;
  }

  /** It is about the journey: whoever follows that takes its answers. The others' are taken by whom they are about. */
  isAboutJourney(interventionId: string): boolean {
    const kind = this.interventions.get(interventionId)?.kind;
    return kind !== undefined && !kind.startsWith(COMPENSATION_KIND) && kind !== UNRECORDED;
  }

  /** Now, by the delivery's clock, Unix milliseconds. */
  nowMs(): number {
    return clockTimeMs(this.input.clock, Date.now());
  }

  /** How long a timer must be for the delivery's clock to show `timeMs`, wall milliseconds. */
  wallUntilMs(timeMs: number): number {
    return wallDurationMs(this.input.clock, timeMs - this.nowMs());
  }

  get status(): DeliveryStatus {
    return this.state.status;
  }

  get deliveryId(): DeliveryId {
    return this.input.deliveryId;
  }

  key(step: string): string {
    this.repetition.beforeStep(step);
    return nextKey(this.deliveryId, this.ordinals, step);
  }

  /** Changes the status and records it as an event. Asking for what the state machine forbids is a bug: the workflow fails. */
  async change(to: DeliveryStatus, details: EventDetails = {}): Promise<void> {
    if (!canTransition(this.state.status, to)) {
      throw ApplicationFailure.nonRetryable(
        `A delivery that is ${this.state.status} cannot become ${to}.`,
        'illegal_transition',
      );
    }
    this.repetition.look();
    this.state.status = to;
    // A delivery that moves on is no longer delayed, unless this very event says why it is.
    const moved =
      this.delayed && details.patch?.delayed === undefined ? { delayed: false, delay_reason: null } : {};
    const event = this.event(`delivery.${to}`, { ...details, patch: { ...moved, ...details.patch } });
    await this.append({ ...event, status: to }, this.repetition.isRecorded(event, details.occurredAtMs));
  }

  /** Walks the legal way to a status, recording each one on it: for what a person says has happened. */
  async walkTo(to: DeliveryStatus, details: EventDetails): Promise<void> {
    for (const status of legalPath(this.state.status, to)) await this.change(status, details);
  }

  /** Records an event that leaves the status as it is. */
  async note(type: string, details: EventDetails = {}): Promise<void> {
    this.repetition.look();
    const event = this.event(`delivery.${type}`, details);
    await this.append(event, this.repetition.isRecorded(event, details.occurredAtMs));
  }

  /** @param data what its event says beside the kind */
  async openIntervention(
    intervention: OpenedIntervention,
    patch: DeliveryPatch = {},
    data: Record<string, unknown> = {},
  ): Promise<void> {
    this.show(intervention);
    await this.append(this.openingOf(intervention, patch, data));
  }

  /** Closes an intervention that has settled itself; whoever answers it at the same time is refused. */
  resolveIntervention(id: string, answer: string, by: string, why: string): Promise<void> {
    return this.close(id, { answer, by, why });
  }

  /** Closes an intervention by a person's answer, which is accepted with that. */
  answered(command: ResolveInterventionCommand): Promise<void> {
    return this.close(command.interventionId, resolutionBy(command), command);
  }

  private async close(id: string, resolution: Resolution, by?: ResolveInterventionCommand): Promise<void> {
    const intervention = this.interventions.get(id);
    if (!intervention) return;
    this.hide(id, resolution, by);
    await this.append(this.resolutionOf(intervention, resolution));
  }

  private show(intervention: OpenedIntervention): void {
    this.interventions.set(intervention.id, intervention);
    this.state.openInterventions = [...this.interventions.keys()];
    this.upsert([{ key: KEYS.hasIntervention, value: 'open' }]);
    this.tellDetails();
    this.answerAsBefore(intervention.id);
  }

  private hide(id: string, { answer, by, why }: Resolution, command?: ResolveInterventionCommand): void {
    this.interventions.delete(id);
    this.answers.close(id, `${by} has closed it with ${answer} (${why})`, command);
    this.state.openInterventions = [...this.interventions.keys()];
    if (this.interventions.size === 0) this.upsert([{ key: KEYS.hasIntervention, value: 'none' }]);
    this.tellDetails();
  }

  private openingOf(
    intervention: OpenedIntervention,
    patch: DeliveryPatch = {},
    data: Record<string, unknown> = {},
  ): NewDeliveryEvent {
    return {
      ...this.event('delivery.intervention_opened', { patch, data: { kind: intervention.kind, ...data } }),
      open_intervention: intervention,
    };
  }

  private resolutionOf({ id, kind }: OpenedIntervention, resolution: Resolution): NewDeliveryEvent {
    return {
      ...this.event('delivery.intervention_resolved', { data: { kind, ...resolution } }),
      resolve_intervention: { id, ...resolution },
    };
  }

  /** Whatever a person was asked about the journey is settled by its end; what is left to undo is not. */
  async closeQuestions(why: string): Promise<void> {
    for (const id of [...this.interventions.keys()]) {
      if (this.isAboutJourney(id)) await this.resolveIntervention(id, 'ended', 'system', why);
    }
  }

  /** A person is asked about what could not be undone. */
  get isAskedAboutCompensation(): boolean {
    return [...this.interventions.values()].some((one) => one.kind.startsWith(COMPENSATION_KIND));
  }

  /** Unique among all deliveries, and it tells whose it is: `int_01h455vb4pex5vsknk084sn02q_release_drone_1`. */
  interventionId(what: string): string {
    return interventionIdOf(this.input.deliveryId, what.replaceAll('/', '_'));
  }

  intervention(id: string): OpenedIntervention | undefined {
    return this.interventions.get(id);
  }

  /** Tells the Temporal UI, in clear, what goes on and what it waits for. */
  waiting(waitingFor: string | null, untilMs: number | null): void {
    this.state.waitingFor = waitingFor;
    this.state.until = untilMs === null ? null : isoTime(untilMs);
    this.tellDetails();
  }

  upsert(pairs: SearchAttributeUpdatePair[]): void {
    upsertSearchAttributes(pairs);
  }

  /** The search attributes of a phase change. Each upsert is billed, so only phases do it, not every status. */
  showPhase(
    phase: {
      baseId?: BaseId | null;
      pickupEta?: Date | null;
      dropoffEta?: Date | null;
      fulfilment?: string;
    } = {},
  ): void {
    const { status, droneId, attempt, failureReason } = this.state;
    this.upsert([
      { key: KEYS.deliveryStatus, value: status },
      { key: KEYS.attempt, value: attempt },
      { key: KEYS.droneId, value: droneId },
      ...(phase.baseId === undefined ? [] : [{ key: KEYS.baseId, value: phase.baseId }]),
      ...(phase.fulfilment === undefined ? [] : [{ key: KEYS.fulfilment, value: phase.fulfilment }]),
      ...(phase.pickupEta === undefined ? [] : [{ key: KEYS.pickupEta, value: phase.pickupEta }]),
      ...(phase.dropoffEta === undefined ? [] : [{ key: KEYS.dropoffEta, value: phase.dropoffEta }]),
      ...(failureReason === null ? [] : [{ key: KEYS.failureReason, value: failureReason }]),
    ]);
  }

  private event(type: string, { occurredAtMs, data, patch, changeDropoff }: EventDetails): NewDeliveryEvent {
    if (patch?.delayed !== undefined) this.delayed = patch.delayed;
    return {
      type,
      occurred_at: isoTime(occurredAtMs ?? this.nowMs()),
      ...(data && { data }),
      ...(patch && Object.keys(patch).length > 0 && { patch }),
      ...(changeDropoff && { change_dropoff: changeDropoff }),
    };
  }

  private append(event: NewDeliveryEvent, isRecorded = false): Promise<void> {
    if (this.hasEndedElsewhere) return Promise.resolve();
    const change = NOT_YET_IN_THE_HISTORY.get(event.type);
    const how: Append = change !== undefined && patched(change) ? plainStep : shortStep;
    // Numbered by its kind: after a reset the workflow may take a shorter way to where the delivery is, and an event that is
    // already there must not be taken for another one.
    const key = this.key(eventStep(event.type));
    this.showInDetails(event.occurred_at, event.type.replace('delivery.', '') + orderedBy(event.data));
    const step = { key, deliveryId: this.input.deliveryId, events: [event] };
    const before = this.lastStatus;
    this.lastStatus = event.status ?? before;
    if (isRecorded) return Promise.resolve();
    let askedAPerson: () => void = () => undefined;
    const personAsked = new Promise<void>((resolve) => {
      askedAPerson = resolve;
    });
    const written = this.tail.then(() => this.write(step, { before, how, askedAPerson }));
    // A write that failed for good fails its caller; the ones behind it still go out.
    this.tail = written.catch(() => undefined);
    return Promise.race([written, personAsked]);
  }

  /**
   * Writes an event. One that is refused for good ends a delivery that has not been picked up; later than that it is a person's to
   * settle, and the events behind it wait, for they are written in their order.
   * @param how as which kind of step
   * @param askedAPerson what is called when a person has been asked
   */
  private async write(
    step: StepInput<'appendEvents'>,
    { before, how, askedAPerson }: { before: DeliveryStatus; how: Append; askedAPerson: () => void },
  ): Promise<void> {
    const { type, status } = step.events[0] ?? { type: 'none' };
    for (;;) {
      try {
        const answer = await how(
          'appendEvents',
          {
            ...step,
            ...(this.hasLetGo && { catchUpTo: before }),
            ...(this.repetition.isReset && { afterReset: true }),
          },
          `record: ${type}`,
        );
        const { status: written } = answer;
        if (this.repetition.isReset && isFinal(written) && !isFinal(this.status))
          this.endedElsewhere({ status: written });
        return;
      } catch (error) {
        const isBinding = this.isConcluding || !isBeforePickup(this.state.status);
        if (!(error instanceof StepFailed) || !isBinding) throw error;
        const answer = await this.askAboutRecord(
          step.key,
          `Event ${type} is not recorded (${error.message}).`,
          status ?? before,
          askedAPerson,
        );
        if (answer === 'done') return;
      }
    }
  }

  /**
   * Its own events go past those that wait behind the refused one. Where they are refused too, the Temporal UI still shows it.
   * @param status where the delivery is with the event, which the record catches up with when the event is let go
   */
  private async askAboutRecord(
    key: string,
    reason: string,
    status: DeliveryStatus,
    asked: () => void,
  ): Promise<string> {
    const { deliveryId } = this.input;
    const id = this.interventionId(key.replace(`${deliveryId}/`, ''));
    const intervention = {
      id,
      kind: UNRECORDED,
      reason: `${reason} Step ${key}.`,
      answers: [
        { answer: 'retry', effect: 'tries to record it again at once' },
        { answer: 'done', effect: 'goes on without it in the record' },
      ],
    };
    const tell = async (event: NewDeliveryEvent) => {
      const eventKey = this.key(eventStep(event.type));
      try {
        const step = { key: eventKey, deliveryId, events: [event] };
        await shortStep(
          'appendEvents',
          this.hasLetGo ? { ...step, catchUpTo: status } : step,
          `record: ${event.type}`,
        );
      } catch (error) {
        if (!(error instanceof StepFailed)) throw error;
      }
    };
    this.show(intervention);
    asked();
    await tell(this.openingOf(intervention));
    for (;;) {
      await condition(() => this.answers.to(id) !== undefined);
      const command = this.answers.to(id);
      if (!command) continue;
      this.hide(id, resolutionBy(command), command);
      if (command.answer === 'done') this.hasLetGo = true;
      await tell(this.resolutionOf(intervention, resolutionBy(command)));
      return command.answer;
    }
  }

  private tellDetails(): void {
    setCurrentDetails(detailsOf(this.state, [...this.interventions.values()]));
  }

  private showInDetails(at: string, what: string): void {
    this.state.history = [...this.state.history.slice(1 - HISTORY_SHOWN), { at, what }];
    this.tellDetails();
  }
}

/** The legal way from one status to another, without the start. @throws {ApplicationFailure} when there is none */
export function legalPath(from: DeliveryStatus, to: DeliveryStatus): DeliveryStatus[] {
  const way = statusesBetween(from, to);
  if (way) return way;
  throw ApplicationFailure.nonRetryable(`There is no legal way from ${from} to ${to}.`, 'illegal_transition');
}

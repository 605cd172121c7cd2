/**
 * A run that a reset has begun repeats what the delivery has behind it, until it is where that was. What it writes meanwhile is in the
 * record already, under the same keys; what it writes afterwards is new, and is numbered after that.
 */
import type { ToldReset } from '../../activities/reset.ts';
import type { NewDeliveryEvent } from '../../services/delivery/contract/index.ts';
import type { DeliveryState, ResolveInterventionCommand } from '../messages.ts';
import { Past } from './past.ts';
import type { Wait } from './registry.ts';
import type { Ordinals } from './steps.ts';

/** The step that writes an event: events are numbered by their kind. */
export const eventStep = (type: string): string => type.replace('delivery.', 'event_');

/** The wait for what only a person knows. */
const FOR_A_PERSON: Wait = 'a person’s word on the package';
/** Numbers of steps that are never repeated begin so much higher with each reset. */
const STEPS_BETWEEN_RESETS = 1_000;

export class Repetition {
  /** Whether its run, or one that it goes on for, was begun by a reset. */
  isReset: boolean;
  /** What the run has come to, as the record has it. */
  private readonly state: DeliveryState;
  private readonly ordinals: Ordinals;
  private past: Past | undefined;
  /** Events of what an aircraft or a carrier has told, by type and time. */
  private recorded: ReadonlySet<string> = new Set();
  /** Called when it is where the delivery was. */
  onArrival: () => void = () => undefined;

  constructor(state: DeliveryState, ordinals: Ordinals, isReset: boolean) {
    this.state = state;
    this.ordinals = ordinals;
    this.isReset = isReset;
  }

  begin(seen: ToldReset): void {
    this.isReset = true;
    this.past = new Past(seen);
    this.recorded = new Set(seen.happened);
    // What people have changed is adopted: the keys of the steps that did it are taken.
    // By the timeline, which has every reset: a history has only those before the point that it was reset to.
    const taken = STEPS_BETWEEN_RESETS * (seen.events['delivery.workflow_reset'] ?? 1);
    this.numberFrom({ reauthorize: taken, reroute: taken });
    // What they are asked is asked anew.
    this.numberFrom(ordinalsOf(seen, (type) => type.startsWith('delivery.intervention_')));
  }

  /** The delivery has ended without it: there is nothing to be repeated. */
  end(): void {
    this.past = undefined;
  }

  /** It is not where the delivery was yet. */
  get isUnderWay(): boolean {
    this.look();
    return this.past !== undefined;
  }

  /** The delivery was given to a carrier, and it is not there yet. */
  get isByCarrier(): boolean {
    return this.isUnderWay && this.past?.isByCarrier === true;
  }

  /** To be called before anything changes: looks whether it is where the delivery was. */
  look(): void {
    const { status, droneId } = this.state;
    if (this.past?.isBehind({ status, droneId, reserves: this.reserves }) === false) this.arrive();
  }

  /** A drone is assigned: unless the delivery had it before, that is new. */
  hasDrone(): void {
    if (this.past?.isNewFlight(this.reserves) === true) this.arrive();
  }

  /** It stands in the line for a drone: unless the delivery did, that is new. */
  standsInLine(): void {
    if (this.past?.hasLostItsDrone === true) this.arrive();
  }

  /** It has to wait, and nothing more is known of what came then: a person has to say. */
  hasToWait(waitingFor: Wait): void {
    if (waitingFor === FOR_A_PERSON) this.arrive();
  }

  /** When a step has reserved a drone, Unix milliseconds by the delivery's clock; undefined: only now. */
  reservedAtMs(reserveKey: string): number | undefined {
    return this.past?.reservedAtMs(reserveKey);
  }

  /** What a person has answered to this question, which is asked again; each answer is given once. */
  takeAnswer(interventionId: string): ResolveInterventionCommand | undefined {
    return this.past?.takeAnswer(interventionId);
  }

  /** What an aircraft or a carrier tells comes again, with the time when it was. */
  isRecorded({ type, occurred_at }: NewDeliveryEvent, occurredAtMs: number | undefined): boolean {
    return occurredAtMs !== undefined && this.recorded.has(`${type}@${occurred_at}`);
  }

  /** To be called before a step is numbered. Drones may be left out that were sent before: none is sent by another one's key. */
  beforeStep(step: string): void {
    if (step === 'dispatch' && this.isReset) this.numberFrom({ dispatch: this.reserves - 1 });
  }

  private get reserves(): number {
    return this.ordinals['reserve'] ?? 0;
  }

  private arrive(): void {
    if (!this.past) return;
    const { seen } = this.past;
    this.past = undefined;
    this.numberFrom(ordinalsOf(seen, () => true));
    this.state.attempt = Math.max(this.state.attempt, seen.delivery.attempt);
    this.onArrival();
  }

  private numberFrom(ordinals: Ordinals): void {
    for (const [step, ordinal] of Object.entries(ordinals)) {
      this.ordinals[step] = Math.max(this.ordinals[step] ?? 0, ordinal);
    }
  }
}

/** How many events of some types there are, by the steps that write them. */
const ordinalsOf = ({ events }: ToldReset, isMeant: (type: string) => boolean): Ordinals =>
  Object.fromEntries(
    Object.entries(events)
      .filter(([type]) => isMeant(type))
      .map(([type, count]) => [eventStep(type), count]),
  );

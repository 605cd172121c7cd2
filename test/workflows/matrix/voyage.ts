/**
 * Deliveries on their journeys, driven together: time passes for all of them until each one has come to its end. What is seen of a
 * delivery is seen from outside: its read model, its `state` query, the calls of its activities, and the services' tables.
 */
import type { Delivery } from '../../../services/delivery/contract/index.ts';
import { isFinal } from '../../../services/delivery/contract/status.ts';
import { distanceM } from '../../../shared/geodesy.ts';
import { newId } from '../../../shared/ids.ts';
import type { DeliveryOutcome, DeliveryState } from '../../../workflows/messages.ts';
import type { HeldRow, Tables } from '../../checker/held-rows.ts';
import type { Call, Fault } from '../faults.ts';
import type { DeliveryOptions, Lab, LabDelivery } from '../lab.ts';
import type { Intervenes, Journey } from './journeys.ts';
import { violationsOf } from './violations.ts';

/** A journey, and what disturbs it. */
export interface Plan {
  journey: Journey;
  faults?: Omit<Fault, 'of'>[];
  policy?: DeliveryOptions['policy'];
  onTheWay?: Intervenes[];
  externalId?: string;
}

export interface Seen {
  status: DeliveryState['status'];
  waitingFor: string | null;
  /** How long it has been seen to wait for that. */
  waitedMs: number;
  /** Until the step that is being repeated is tried again, milliseconds; infinite when none is. */
  retriesInMs: number;
  /** The drone may be loading, and cannot be reached. */
  isLoadingInSilence: boolean;
  calls: readonly Call[];
}

/** A person was asked, and answered. */
export interface Asked {
  kind: string;
  answer: string;
  /** What was held and not named by any open intervention, and what was named and not held. */
  unnamed: string[];
}

/** What came of it. */
export interface Voyage {
  plan: Plan;
  deliveryId: string;
  /** `delivered`, `failed (step_failed)`. */
  end: string;
  outcome: DeliveryOutcome | undefined;
  charged: { amount: number; told: number | null };
  calls: readonly Call[];
  /** In their order; only of one that is watched. */
  waits: string[];
  asked: Asked[];
  offTheMarkM: number;
  creditNotes: number;
  /** Still held when it had ended and everything had had time to come home. */
  held: HeldRow[];
  /** What is wrong with it, whatever was expected. */
  violations: string[];
}

/** The longest that a delivery of these journeys takes, with a drone that is late and comes home; wall milliseconds. */
const LONGEST_MS = 3 * 60 * 60 * 1000;
/** How long an intervention stays open until it names what is held, wall milliseconds. */
const NAMING_MS = 20 * 60 * 1000;

/** Where deliveries sail: a lab, and a look into the tables of its services. */
export interface Sea {
  lab: Lab;
  tables: Tables;
}

/**
 * Sails all of them at once. `withinMs`: wall milliseconds after which who has not arrived is reported as it is. `watched`: the
 * voyages tell all that they have waited for.
 */
export async function sail(
  sea: Sea,
  plans: readonly Plan[],
  { withinMs = LONGEST_MS, watched = false } = {},
): Promise<Voyage[]> {
  const { lab } = sea;
  const ready: (() => Promise<Vessel>)[] = [];
  for (const plan of plans) ready.push(await Vessel.prepare(sea, plan, watched));
  // All drones have been heard before the first of them is asked for.
  await lab.settle();
  const vessels: Vessel[] = [];
  for (const launch of ready) vessels.push(await launch());
  try {
    await lab.until(
      'every delivery has come to its end',
      async () => {
        for (;;) {
          const arrived = await Promise.all(vessels.map((one) => one.goOn()));
          if (!vessels.map((one) => one.hasActed()).includes(true)) return arrived.every((one) => one);
          // What was ordered now is done, and seen by all, before time passes.
          await lab.settle();
        }
      },
      { withinMs },
    );
  } catch (error) {
    // Who has not arrived says so itself.
    if (!vessels.some((one) => !one.hasArrived)) throw error;
  }
  return Promise.all(vessels.map((one) => one.report()));
}

/** Sends an update, and does not wait for more than that the delivery has it: time may have to pass for its answer. */
export async function askTo(what: 'cancel' | 'abort', delivery: LabDelivery): Promise<void> {
  const actor = { role: 'operator', id: 'test' } as const;
  const why = 'the test wants it';
  const command = what === 'cancel' ? { reason: 'requested_by_operator', actor, why } : { actor, why };
  await delivery.handle.startUpdate<unknown, [unknown]>(what, {
    args: [command],
    updateId: `${what}-1`,
    waitForStage: 'ACCEPTED',
  });
}

/** Asks for a dropoff so far from the pickup; `nth`: which change it is. */
export async function changeDropoff(delivery: LabDelivery, metres: number, nth: number): Promise<void> {
  const actor = { role: 'operator', id: 'test' } as const;
  const dropoff = { location: delivery.dropoffAt(metres), address: 'The other door' };
  await delivery.handle.startUpdate<unknown, [unknown]>('changeDropoff', {
    args: [{ dropoff, why: 'the test wants it', actor }],
    updateId: `dropoff-${nth}`,
    waitForStage: 'ACCEPTED',
  });
}

/** The recipient gives the right PIN, and the delivery is told to look. */
export async function confirmByPin(delivery: LabDelivery): Promise<void> {
  const { pin } = await delivery.recipient();
  await delivery.give({ pin });
  await delivery.handle.startUpdate<unknown, [unknown]>('confirm', {
    args: [{ actor: { role: 'recipient', id: 'test' } }],
    updateId: 'confirm-1',
    waitForStage: 'ACCEPTED',
  });
}

class Vessel {
  readonly delivery: LabDelivery;
  hasArrived = false;
  private readonly lab: Lab;
  private readonly tables: Tables;
  private readonly plan: Plan;
  private readonly toDo: Set<Intervenes>;
  private readonly waits: string[] = [];
  private readonly asked: Asked[] = [];
  private readonly openSinceMs = new Map<string, number>();
  private waitingFor: string | null = null;
  private waitingSinceMs = 0;
  private hasEnded = false;
  private acted = false;
  private heldAtItsEnd: HeldRow[] = [];
  private said: DeliveryState | undefined;
  /** How many events its history had when it was last looked at. */
  private events: number | undefined;
  /** It has done something since nobody was asked anything. */
  private mayAsk = true;
  /** All its waits are wanted; otherwise it is asked what it waits for only as long as something is to be done on the way. */
  private readonly isWatched: boolean;

  private constructor({ lab, tables }: Sea, plan: Plan, delivery: LabDelivery, isWatched: boolean) {
    this.isWatched = isWatched;
    this.lab = lab;
    this.tables = tables;
    this.plan = plan;
    this.delivery = delivery;
    this.toDo = new Set([...(plan.journey.onTheWay ?? []), ...(plan.onTheWay ?? [])]);
  }

  /** Its scene; it is ordered when it is launched. */
  static async prepare(sea: Sea, plan: Plan, isWatched: boolean): Promise<() => Promise<Vessel>> {
    const { lab } = sea;
    const { journey, faults = [], externalId } = plan;
    const scene = await lab.prepare(journey.options);
    await journey.prepare?.(scene, lab);
    const id = newId('delivery');
    lab.faults.arm(...[...faults, ...(journey.lies ?? [])].map((fault) => ({ ...fault, of: id })));
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
      this.mayAsk ||= isChanged;
      if (this.isWatched || this.toDo.size > 0) await this.doWhatIsToDo(await this.look(isChanged));
      await this.answerWhoAsks();
      this.hasEnded = !lab.isOpen(delivery);
      if (this.hasEnded) {
        this.heldAtItsEnd = (await tables.heldFor(delivery.id)).filter(({ homeward }) => !homeward);
        // Calls that were taken for dead arrive now, after everything: they must do nothing any more.
        await lab.faults.letLateAct(delivery.id);
        lab.faults.clear(delivery.id);
      }
      return false;
    }
    this.hasArrived = (await tables.heldFor(delivery.id)).length === 0;
    return this.hasArrived;
  }

  private async doWhatIsToDo(seen: Seen): Promise<void> {
    for (const one of this.toDo) {
      if (!one.when(seen)) continue;
      this.toDo.delete(one);
      await one.act(this.delivery);
      this.acted = true;
    }
  }

  /** Whether anything was done to it since it was last asked. */
  hasActed(): boolean {
    const { acted } = this;
    this.acted = false;
    return acted;
  }

  async report(): Promise<Voyage> {
    const { lab, tables, delivery, plan, waits, asked } = this;
    const record = await delivery.read();
    const { status, complete, cancellation_reason, failure_reason, compensation } = record;
    const reason = failure_reason ?? cancellation_reason;
    const isOpen = lab.isOpen(delivery);
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
      waits,
      asked,
      held: await tables.heldFor(delivery.id),
      offTheMarkM: await this.offTheMarkM(record),
      creditNotes: await tables.creditNotesFor(delivery.id),
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
        ...this.heldAtItsEnd.map(
          ({ kind, stepKey, what }) => `left at its end: ${kind} of ${stepKey} (${what})`,
        ),
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
    const activities = new Set([...faults, ...(journey.lies ?? [])].map(({ activity }) => activity));
    return [
      ...[...activities]
        .filter((activity) => !calls.some((call) => call.hit && call.activity === activity))
        .map((activity) => `nothing happened to ${activity}`),
      ...onTheWay.filter((one) => this.toDo.has(one)).map(() => 'it was never time for what was to be done'),
    ];
  }

  /** What its workflow says of itself is asked again only when it has done something since. */
  private async look(isChanged: boolean): Promise<Seen> {
    const { lab, delivery } = this;
    if (isChanged || !this.said) this.said = await delivery.handle.query<DeliveryState>('state');
    const state = this.said;
    if (state.waitingFor !== this.waitingFor) {
      this.waitingFor = state.waitingFor;
      this.waitingSinceMs = lab.wallNowMs;
      if (state.waitingFor !== null) this.waits.push(state.waitingFor);
    }
    return {
      status: state.status,
      waitingFor: state.waitingFor,
      waitedMs: lab.wallNowMs - this.waitingSinceMs,
      retriesInMs: lab.retriesAtMs(delivery) - lab.wallNowMs,
      isLoadingInSilence: await this.isLoadingInSilence(),
      calls: lab.faults.callsOf(delivery.id),
    };
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
    // Before its end a delivery holds what it needs.
    const isUndoing = isFinal(status) && open.some((one) => one.kind.startsWith('compensation:'));
    const unnamed = isUndoing ? await this.unnamed(open.map((one) => one.reason)) : [];
    for (const { id, kind, answers, reason } of open) {
      const sinceMs = this.openSinceMs.get(id) ?? lab.wallNowMs;
      this.openSinceMs.set(id, sinceMs);
      if (unnamed.length > 0 && lab.wallNowMs - sinceMs < NAMING_MS) continue;
      // The one that it waits for may still be asked.
      const isOffered = answers.some((one) => one.answer === journeyAnswer);
      if (journeyAnswer !== undefined && !isOffered && kind === 'drone_down') continue;
      // What the journey leads to is answered with the cause still there.
      if (!isOffered) lab.faults.clear(delivery.id);
      if (reason.includes('still being retried')) {
        // The next attempt succeeds by itself.
        if (!this.asked.some((one) => one.kind === kind))
          this.asked.push({ kind, answer: '(works again)', unnamed });
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
      this.asked.push({ kind, answer, unnamed });
    }
  }

  /** What is held and not named, and what is named and not held; by the keys of the steps. */
  private async unnamed(reasons: readonly string[]): Promise<string[]> {
    const held = await this.tables.heldFor(this.delivery.id);
    const heldKeys = new Set(held.map((one) => one.stepKey));
    const namedKeys = new Set(reasons.flatMap((one) => one.match(/del_\w+\/\w+\/\d+/g) ?? []));
    return [
      ...held
        .filter((one) => !namedKeys.has(one.stepKey))
        .map((one) => `${one.kind} ${one.stepKey} is not named`),
      ...[...namedKeys]
        .filter((key) => !heldKeys.has(key) && !this.mayBeNamed(key))
        .map((key) => `${key} is named and not held`),
    ];
  }

  /**
   * Nobody can know that a step never acted, or that its repetition, whose answer was lost, has taken its place; and what was undone
   * once is undone again at the end.
   */
  private mayBeNamed(key: string): boolean {
    const calls = this.lab.faults.callsOf(this.delivery.id);
    const isUndone = calls.some((call) => call.refersTo === key && call.acted);
    const [, step = '', ordinal = ''] = /(\w+)\/(\d+)$/.exec(key) ?? [];
    const repetition = calls.filter((call) => call.key.endsWith(`/${step}/${Number(ordinal) + 1}`));
    const isReplaced =
      repetition.some(({ acted }) => acted) && !repetition.some(({ result }) => result === 'ok');
    return isUndone || isReplaced || !calls.some((call) => call.key === key && call.acted);
  }
}

/** A compensation that does not succeed becomes an intervention soon. */
const STUCK_S = 10;

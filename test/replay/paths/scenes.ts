/** Where the paths begin: deliveries brought to a point, from which each goes its own way. */
import { WorkflowUpdateStage } from '@temporalio/client';
import type { DeliveryStatus } from '../../../services/delivery/contract/index.ts';
import { Problem } from '../../../shared/errors.ts';
import type { DroneId } from '../../../shared/ids.ts';
import type { DeliveryState, OperatorCommands } from '../../../workflows/messages.ts';
import type { ActivityName } from '../../workflows/faults.ts';
import type { Lab } from '../../workflows/lab.ts';
import type { LabDelivery } from '../../workflows/lab-delivery.ts';
import type { DeliveryOptions, Scene } from '../../workflows/scene.ts';

/**
 * One way that a workflow can go. Leads a delivery so far that it ends by itself and answers it, or the id of another workflow
 * that has ended.
 */
export type Path = (scenes: Scenes) => Promise<LabDelivery | string>;

const BY = { why: 'recorded', actor: { role: 'operator', id: 'recorder' } } as const;
export const HOUR_S = 3600;
export const DAY_S = 24 * HOUR_S;
/** As the policy has it: how long before the window a drone is reserved. */
export const LEAD_S = 600;

export class Scenes {
  readonly lab: Lab;
  private updates = 0;

  constructor(lab: Lab) {
    this.lab = lab;
  }

  /** Sends an update, and lets time pass until it is answered. */
  async order<K extends keyof OperatorCommands>(
    delivery: LabDelivery,
    update: K,
    command: Omit<OperatorCommands[K], keyof typeof BY>,
  ): Promise<void> {
    const given = { ...BY, ...command } as OperatorCommands[K];
    await delivery.order(update, given, `order-${(this.updates += 1)}`);
  }

  /** Sends an update, which the workflow has when this returns. */
  async orderAtOnce(delivery: LabDelivery, update: string, command: object): Promise<void> {
    await delivery.handle.startUpdate(update, {
      args: [update === 'confirm' ? command : { ...BY, ...command }] as [unknown],
      updateId: `order-${(this.updates += 1)}`,
      waitForStage: WorkflowUpdateStage.ACCEPTED,
    });
  }

  /** As the CLI's *cancel* does, with who and why. */
  async pressCancel(delivery: LabDelivery): Promise<void> {
    const { workflowService, options } = this.lab.temporal;
    await workflowService.requestCancelWorkflowExecution({
      namespace: options.namespace,
      workflowExecution: { workflowId: delivery.id },
      identity: 'recorder',
      reason: 'recorded',
    });
    this.lab.watch(delivery);
  }

  reassign(delivery: LabDelivery, excludePresent = true): Promise<void> {
    return this.order(delivery, 'reassignDrone', { excludePresent });
  }

  abort(delivery: LabDelivery): Promise<void> {
    return this.order(delivery, 'abort', {});
  }

  /** Waits until a person is asked, and answers. */
  async resolve(delivery: LabDelivery, answer: string): Promise<void> {
    const interventionId = await this.untilAsked(delivery);
    await this.order(delivery, 'resolveIntervention', { interventionId, answer });
  }

  /** As `resolve`, without letting anything else happen: a question must be open. */
  async answerAtOnce(delivery: LabDelivery, answer: string): Promise<void> {
    const { interventions } = await delivery.read();
    const interventionId = interventions.find((one) => one.resolved_at === null)?.id;
    if (interventionId === undefined) throw new Error('nobody is asked');
    await delivery.handle.executeUpdate('resolveIntervention', {
      args: [{ ...BY, interventionId, answer }] as [unknown],
      updateId: `order-${(this.updates += 1)}`,
    });
  }

  /** Sends answers that the workflow takes one after the other, while it still writes down what it asks. */
  async answersAtOnce(delivery: LabDelivery, answers: readonly string[]): Promise<void> {
    const ids = async () => (await delivery.handle.query<DeliveryState>('state')).openInterventions;
    await this.lab.until('a person is asked', async () => (await ids()).length > 0);
    const [interventionId] = await ids();
    for (const answer of answers) {
      await this.orderAtOnce(delivery, 'resolveIntervention', { interventionId, answer });
    }
    this.lab.faults.clear();
  }

  async untilAsked(delivery: LabDelivery, times = 1): Promise<string> {
    const open = async () =>
      (await delivery.read()).interventions.filter((one) => one.resolved_at === null).map((one) => one.id);
    await this.lab.until('a person is asked', async () => {
      const asked = (await delivery.events()).filter(
        (one) => one.type === 'delivery.intervention_opened',
      ).length;
      return asked >= times && (await open()).length > 0;
    });
    const [interventionId] = await open();
    if (interventionId === undefined) throw new Error('nobody is asked');
    return interventionId;
  }

  /** A delivery that waits where a step does not answer. */
  async stuckAt(step: ActivityName, options: DeliveryOptions = {}): Promise<LabDelivery> {
    this.lab.faults.arm({ activity: step, how: 'down' });
    const delivery = await this.lab.start(options);
    await this.untilTried(delivery, step);
    return delivery;
  }

  async untilTried(delivery: LabDelivery, step: ActivityName, times = 5): Promise<void> {
    await this.lab.until(
      `${step} is being tried`,
      () => this.lab.faults.callsOf(delivery.id).filter((call) => call.activity === step).length >= times,
    );
  }

  /** One whose drone is at that point, and stays there before the pickup. */
  async at(status: DeliveryStatus, options: DeliveryOptions = {}): Promise<LabDelivery> {
    const scene = await this.lab.prepare({ ...options, drones: 0 });
    // A drone without a pilot has its mission, and does not take off.
    const droneId = await scene.addDrone({ pilot: status !== 'confirmed' });
    if (status === 'arrived_at_pickup') this.lab.pilot.arm(droneId, { failure: 'sender_absent' });
    const delivery = await scene.order(options);
    await delivery.untilStatus(status);
    return delivery;
  }

  /** One with drones to which this happens. */
  async withFailure(
    failure: Parameters<Lab['pilot']['arm']>[1],
    options: DeliveryOptions = {},
  ): Promise<LabDelivery> {
    const scene = await this.lab.prepare(options);
    for (const droneId of scene.droneIds) this.lab.pilot.arm(droneId, failure);
    return scene.order(options);
  }

  /** One that waits for a drone, while the only one is in the workshop. */
  async awaitingDrone(options: DeliveryOptions = {}): Promise<LabDelivery> {
    const scene = await this.grounded(options);
    const delivery = await scene.order(options);
    await delivery.untilStatus('awaiting_drone');
    return delivery;
  }

  async grounded(options: DeliveryOptions = {}): Promise<Scene> {
    const scene = await this.lab.prepare(options);
    await this.setDrones(scene, 'maintenance');
    return scene;
  }

  /** Its drones come from the workshop. */
  async repair({ scene }: LabDelivery): Promise<void> {
    await this.setDrones(scene, 'idle');
  }

  private async setDrones({ droneIds }: Scene, state: 'idle' | 'maintenance'): Promise<void> {
    for (const drone_id of droneIds) {
      await this.lab.clients.drone.setDroneState({
        params: { drone_id },
        body: { state, reason: 'inspection', by: 'recorder' },
      });
    }
  }

  byCarrier(options: DeliveryOptions = {}): Promise<LabDelivery> {
    return this.lab.start({ drones: 0, account: { carrier: true, carrierCapCents: 10_000 }, ...options });
  }

  /** One that is scheduled this many hours ahead. */
  async scheduled(hours: number, options: DeliveryOptions = {}): Promise<LabDelivery> {
    const delivery = await this.lab.start({
      pickup: { fromS: hours * HOUR_S, toS: (hours + 1) * HOUR_S },
      ...options,
    });
    await delivery.untilStatus('scheduled');
    return delivery;
  }

  /** Lets time pass until it is so close to the pickup window that a drone is reserved. */
  async untilPlanned(delivery: LabDelivery): Promise<void> {
    const { pickup_window: window } = await delivery.read();
    if (!window) throw new Error(`${delivery.id} is not scheduled`);
    // A moment later: the timer is set a little after the window was named.
    await this.lab.leapUntil(Date.parse(window.start) - LEAD_S * 1000 + 20_000, delivery);
  }

  inHours(from: number) {
    return this.lab.windowIn({ fromS: from * HOUR_S, toS: (from + 1) * HOUR_S });
  }

  /** Its drone may load, has lost its link while it does, and is not heard for that long. */
  async loadingInSilence(forS: number): Promise<LabDelivery> {
    const scene = await this.lab.prepare();
    const [droneId] = scene.droneIds;
    if (droneId === undefined) throw new Error('no drone');
    this.lab.pilot.arm(droneId, { failure: 'lost_link', stage: 'at_pickup', at: 0.5, forS });
    const delivery = await scene.order();
    await this.lab.until('it loads, out of reach', async () => {
      const { data } = await this.lab.clients.drone.listReservations({ query: { delivery_id: delivery.id } });
      return data[0]?.loading === 'granted' && this.isOutOfReach(droneId);
    });
    return delivery;
  }

  /** Its drone has been allowed to load, is heard, and has not loaded yet. */
  async loading(options: DeliveryOptions = {}): Promise<LabDelivery> {
    const delivery = await this.lab.start(options);
    await this.lab.until('it loads', async () => {
      const { data } = await this.lab.clients.drone.listReservations({ query: { delivery_id: delivery.id } });
      return data[0]?.loading === 'granted';
    });
    return delivery;
  }

  /**
   * Lets time pass while nobody is told what happens: what an update, or a deadline, meets that is faster than a signal.
   */
  async unheard(seconds: number): Promise<void> {
    await this.lab.passUntil(this.lab.wallNowMs + seconds * 1000);
  }

  /** Until this is so, no signal reaches any workflow: what it knows, it has asked for. */
  async withoutSignals(what: string, isSo: () => Promise<boolean>): Promise<void> {
    const { workflows } = this.lab;
    const signal = workflows.signal.bind(workflows);
    workflows.signal = () => Promise.resolve('signalled');
    try {
      await this.lab.until(what, isSo);
    } finally {
      workflows.signal = signal;
    }
  }

  /** Until a person is asked about it, a service does not say what it holds; then it does again. */
  async withoutReading<T>(service: 'package', until: () => Promise<T>): Promise<T> {
    const client = this.lab.clients[service];
    const { listRegistered } = client;
    const isAsked = async () => {
      const query = { open: true, kind: `compensation:${service}`, limit: 1 };
      return (await this.lab.clients.delivery.listInterventions({ query })).data.length > 0;
    };
    Object.assign(client, {
      listRegistered: async (...input: Parameters<typeof listRegistered>) => {
        if (!(await isAsked())) throw new Problem('unavailable', { detail: 'down, says the recorder' });
        return listRegistered(...input);
      },
    });
    try {
      return await until();
    } finally {
      Object.assign(client, { listRegistered });
    }
  }

  /** The drone has loaded, which the workflow has not heard. */
  async loadedUnheard(): Promise<LabDelivery> {
    const delivery = await this.at('enroute_to_pickup');
    await this.withoutSignals('it is loaded', async () => {
      const { data } = await this.lab.clients.drone.listReservations({ query: { delivery_id: delivery.id } });
      return data[0]?.loading === 'loaded';
    });
    return delivery;
  }

  private isOutOfReach(droneId: DroneId): boolean {
    return this.lab.pilot.look(droneId).linkLostUntilMs !== null;
  }

  /** Has failed, and cannot undo the registration of its packages. */
  async compensating(how: 'refuse' | 'down' = 'refuse', options: DeliveryOptions = {}): Promise<LabDelivery> {
    this.lab.faults.arm({ activity: 'reserveDrone', how: 'refuse' }, { activity: 'voidPackages', how });
    return this.lab.start(options);
  }
}

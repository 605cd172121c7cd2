/** One delivery of a lab: what is done to it and seen of it, while time passes. */
import type { ServiceClients } from '../../activities/index.ts';
import type { Delivery, DeliveryEvent, GivenConfirmation } from '../../services/delivery/contract/index.ts';
import { interventionIdOf } from '../../services/delivery/contract/interventions.ts';
import { messageOf } from '../../shared/errors.ts';
import { destination } from '../../shared/geodesy.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import type { Location, Money, PickupWindow } from '../../shared/schemas.ts';
import type { DeliveryOutcome, OperatorAnswer, OperatorCommands } from '../../workflows/messages.ts';
import type { Scene } from './scene.ts';

const openOf = ({ interventions }: Delivery): Delivery['interventions'] =>
  interventions.filter((one) => one.resolved_at === null);

export class LabDelivery {
  readonly scene: Scene;
  readonly id: DeliveryId;
  readonly price: Money;
  readonly pickup: Location;

  constructor(scene: Scene, id: DeliveryId, price: Money, pickup: Location) {
    this.scene = scene;
    this.id = id;
    this.price = price;
    this.pickup = pickup;
  }

  private get clients(): ServiceClients {
    return this.scene.lab.clients;
  }

  read(): Promise<Delivery> {
    return this.clients.delivery.getDelivery({ params: { delivery_id: this.id } });
  }

  async events(): Promise<DeliveryEvent[]> {
    const all: DeliveryEvent[] = [];
    for (;;) {
      const { data, next_cursor } = await this.clients.delivery.listEvents({
        params: { delivery_id: this.id },
        query: { limit: 200, after_sequence: all.at(-1)?.sequence ?? 0 },
      });
      all.push(...data);
      if (next_cursor === null) return all;
    }
  }

  /** The statuses it went through, in order. */
  async statuses(): Promise<string[]> {
    const events = await this.events();
    return events.map((event) => event.status).filter((status, index, all) => status !== all[index - 1]);
  }

  async untilStatus(status: Delivery['status']): Promise<void> {
    await this.untilRecorded(`${this.id} is ${status}`, (delivery) => delivery.status === status);
  }

  /** Lets time pass until `done` holds of its record, which is read again only when its workflow has done something since. */
  private async untilRecorded(what: string, done: (delivery: Delivery) => boolean): Promise<void> {
    const { lab } = this.scene;
    let readAt: number | undefined;
    const until = lab.until(what, async () => {
      const events = lab.restsAt(this);
      if (events !== undefined && events === readAt) return false;
      readAt = events;
      return done(await this.read());
    });
    await until.catch(async (error: unknown) => {
      const told = (await this.events()).map(({ type, occurred_at }) => `${occurred_at} ${type}`);
      throw new Error(`${messageOf(error)}\n${told.join('\n')}`, { cause: error });
    });
  }

  /** Lets it go on to its end; its workflow has completed, and every drone is home. */
  async untilComplete(): Promise<{ delivery: Delivery; outcome: DeliveryOutcome }> {
    await this.untilRecorded(`${this.id} is complete`, (delivery) => delivery.complete);
    const outcome = (await this.handle.result()) as DeliveryOutcome;
    return { delivery: await this.read(), outcome };
  }

  get handle() {
    return this.scene.lab.temporal.workflow.getHandle(this.id);
  }

  /** How many of its workflow tasks have failed or timed out, in its newest run. */
  async tasksLost(): Promise<number> {
    const { events } = await this.handle.fetchHistory();
    return (events ?? []).filter(
      (event) => event.workflowTaskFailedEventAttributes ?? event.workflowTaskTimedOutEventAttributes,
    ).length;
  }

  /** Asks for it to be cancelled, without waiting for the answer. */
  askToCancel(updateId = 'cancel-1') {
    const command = {
      reason: 'requested_by_sender',
      actor: { role: 'business', id: this.scene.accountId },
    } as const;
    return this.scene.lab.workflows.cancel(this.id, command, { updateId, timeoutMs: 20_000 });
  }

  /** Asks for it to be cancelled, and lets time pass until the answer is there. */
  cancel(updateId = 'cancel-1') {
    return this.scene.lab.untilSettled('the cancel is answered', this.askToCancel(updateId));
  }

  /** What the recipient was sent. */
  async recipient(): Promise<{ trackingToken: string; pin: string }> {
    const { tracking_token, pin } = await this.clients.delivery.getRecipientAccess({
      params: { delivery_id: this.id },
    });
    return { trackingToken: tracking_token, pin: pin ?? '' };
  }

  /** The recipient gives something; the workflow does not hear of it yet. */
  async give(given: GivenConfirmation) {
    const { trackingToken } = await this.recipient();
    return this.clients.delivery.giveConfirmation({
      body: { tracking_token: trackingToken, given, position: null },
    });
  }

  /** Has the workflow look what was given, and lets time pass until it has answered. */
  tellConfirmed(updateId = 'confirm-1') {
    const { lab } = this.scene;
    const command = { actor: { role: 'recipient', id: 'test' } } as const;
    const asking = lab.workflows.order(this.id, 'confirm', command, { updateId, timeoutMs: 20_000 });
    return lab.untilSettled('the confirmation is answered', asking);
  }

  /** Sends an operator's update, and lets time pass until it is answered. */
  order<K extends keyof OperatorCommands>(
    update: K,
    command: OperatorCommands[K],
    updateId?: string,
  ): Promise<OperatorAnswer> {
    const asking = this.handle.executeUpdate<OperatorAnswer, [unknown]>(update, {
      args: [command],
      ...(updateId !== undefined && { updateId }),
    });
    return this.scene.lab.untilSettled(`${update} is answered`, asking);
  }

  /** What people are asked about it, and nobody has settled. */
  async openInterventions(): Promise<Delivery['interventions']> {
    return openOf(await this.read());
  }

  /**
   * Lets time pass until a person is asked, and tells what.
   * @param about its kind, or what its id says that it is about, or how that begins: `package_set_down`
   */
  async untilAsked(about: string): Promise<Delivery['interventions'][number]> {
    const find = (delivery: Delivery) =>
      openOf(delivery).find(
        ({ id, kind }) => kind === about || id.startsWith(interventionIdOf(this.id, about)),
      );
    await this.untilRecorded(`a person is asked about ${about}`, (delivery) => find(delivery) !== undefined);
    const found = find(await this.read());
    if (!found) throw new Error(`A person was asked about ${about} of ${this.id}, and is not any more.`);
    return found;
  }

  /**
   * Once a person is asked, `about` as in `untilAsked`, somebody gives that answer. Tells what was asked.
   * @throws when it is not accepted
   */
  async answer(about: string, answer: string): Promise<Delivery['interventions'][number]> {
    const asked = await this.untilAsked(about);
    const given = await this.order('resolveIntervention', {
      interventionId: asked.id,
      answer,
      actor: { role: 'operator', id: 'test' },
      why: 'seen on site',
    });
    if (given.outcome !== 'accepted')
      throw new Error(`${answer} to ${asked.id} is ${given.outcome}: ${given.reason ?? ''}.`);
    return asked;
  }

  /** Asks for another pickup window, and lets what it causes happen; no time passes. */
  async reschedule(
    pickupWindow: PickupWindow,
    { updateId = 'reschedule-1', from }: { updateId?: string; from?: PickupWindow | null } = {},
  ) {
    const { lab } = this.scene;
    const actor = { role: 'business', id: this.scene.accountId } as const;
    const command = { pickupWindow, why: 'the test wants it', actor, ...(from !== undefined && { from }) };
    const answer = await lab.workflows.reschedule(this.id, command, { updateId, timeoutMs: 20_000 });
    await lab.settle();
    return answer;
  }

  /** A place so far from the pickup; north, where its dropoff is, unless told. */
  dropoffAt(metres: number, courseDeg = 0): Location {
    return destination(this.pickup, courseDeg, metres);
  }

  /** Asks for another dropoff, without waiting for the answer. */
  askToChangeDropoff(
    location: Location,
    { updateId = 'dropoff-1', from }: { updateId?: string; from?: Location } = {},
  ) {
    const actor = { role: 'business', id: this.scene.accountId } as const;
    const command = {
      dropoff: { location, address: 'The other door' },
      why: 'the test wants it',
      actor,
      ...(from && { from }),
    };
    return this.scene.lab.workflows.changeDropoff(this.id, command, { updateId, timeoutMs: 30_000 });
  }

  /** Asks for another dropoff, and lets time pass until the answer is there. */
  changeDropoff(...asked: Parameters<LabDelivery['askToChangeDropoff']>) {
    return this.scene.lab.untilSettled('the change is answered', this.askToChangeDropoff(...asked));
  }

  private isOnItsWayHome(): boolean {
    const { droneIds, lab } = this.scene;
    return droneIds.some((id) => lab.pilot.isOnMission(id));
  }

  private async openReservations() {
    const query = { delivery_id: this.id, open: true } as const;
    return (await this.clients.drone.listReservations({ query })).data;
  }

  /** What the services still hold for it: reservations, authorizations, bookings, packages. */
  async held(): Promise<string[]> {
    return (await this.leftovers()).map(({ what }) => what);
  }

  /** `homeward`: a drone that only has to come home. */
  private async leftovers(): Promise<{ what: string; homeward: boolean }[]> {
    const { clients, id } = this;
    const [reservations, authorizations, bookings, packages] = await Promise.all([
      this.openReservations(),
      clients.account.listAuthorizations({ query: { delivery_id: id, state: 'authorized' } }),
      clients.carrier.listBookings({ query: { delivery_id: id, open: true } }),
      clients.package.listPackages({ query: { delivery_id: id } }),
    ]);
    const kept = packages.data.filter((one) => one.state !== 'void');
    const status = kept.length === 0 ? null : (await this.read()).status;
    const done = status === 'delivered' || status === 'returned';
    const left = (what: string, homeward = false) => ({ what, homeward });
    return [
      ...reservations.map((one) => left(`reservation ${one.step_key} ${one.state}`, one.homeward)),
      ...authorizations.data.map((one) => left(`authorization ${one.step_key}`)),
      ...bookings.data.map((one) => left(`booking ${one.step_key} ${one.state}`)),
      ...(done ? [] : kept.map((one) => left(`package ${one.id}`))),
    ];
  }

  /**
   * Lets the drones come home; then nothing may be left. A workflow that has completed has left nothing else than these: what a lease
   * or a carrier ends later is left all the same. `butFor`: what begins like this, as somebody else is to end it.
   */
  async untilNothingHeld({ butFor }: { butFor?: string } = {}): Promise<void> {
    const { status } = await this.handle.describe();
    const left = (await this.leftovers())
      .filter(({ what, homeward }) => !homeward && (butFor === undefined || !what.startsWith(butFor)))
      .map(({ what }) => what);
    if (status.name === 'COMPLETED' && left.length > 0)
      throw new Error(`${this.id} has left at its end: ${left.join(', ')}.`);
    // Its drones are what is waited for; the others are only asked when those are home.
    await this.scene.lab.until(
      `nothing is held for ${this.id}`,
      async () => !this.isOnItsWayHome() && (await this.held()).length === 0,
    );
  }
}

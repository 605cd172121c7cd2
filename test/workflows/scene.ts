/** Where a test's deliveries take place. */
import type { ConfirmationKind } from '../../services/delivery/contract/index.ts';
import type { Base, DroneModel } from '../../services/drone/contract/index.ts';
import { isoTime } from '../../shared/clock.ts';
import { destination } from '../../shared/geodesy.ts';
import { type AccountId, type BaseId, type DeliveryId, type DroneId, newId } from '../../shared/ids.ts';
import type { Location, Money } from '../../shared/schemas.ts';
import type { DeliveryInput, DeliveryPolicy } from '../../workflows/messages.ts';
import type { Lab } from './lab.ts';
import { LabDelivery } from './lab-delivery.ts';

export interface DeliveryOptions {
  account?: Partial<{
    state: 'active' | 'suspended' | 'closed';
    creditCents: number;
    carrier: boolean;
    carrierCapCents: number;
  }>;
  /** Drones at the base beside the pickup; 1 unless told. */
  drones?: number;
  weightKg?: number;
  /** From the base to the pickup, and from there to the dropoff, metres. */
  toPickupM?: number;
  toDropoffM?: number;
  undeliverableAction?: 'return' | 'leave';
  confirmation?: ConfirmationKind;
  /** Seconds from now. */
  deadlineInS?: number;
  expedited?: boolean;
  /** The pickup window, seconds from now. */
  pickup?: { fromS: number; toS: number };
  /** What its package is declared to be worth; nothing unless told. */
  declaredCents?: number;
  /** 1234 unless told, whatever the distance. */
  priceCents?: number;
  policy?: Partial<DeliveryPolicy>;
  /** Its id, for who has to know it before it starts. */
  id?: DeliveryId;
  /** What its workflow tasks may take: short steps that take longer than 80 % of it go on in another one. Temporal's own unless told. */
  taskTimeoutMs?: number;
  externalId?: string;
}

/** One account, its drones at one base, and the places of its deliveries. */
export class Scene {
  readonly lab: Lab;
  readonly accountId: AccountId;
  readonly baseLocation: Location;
  readonly droneIds: DroneId[] = [];
  private readonly baseId: BaseId = newId('base');
  private base: Promise<Base> | undefined;

  constructor(lab: Lab, accountId: AccountId, baseLocation: Location) {
    this.lab = lab;
    this.accountId = accountId;
    this.baseLocation = baseLocation;
  }

  /** Without a pilot it is registered and free, but does not fly until `boardAll`. */
  async addDrone({ pilot = true } = {}): Promise<DroneId> {
    const { drone: service } = this.lab.clients;
    const model = await this.lab.registered(TEST_MODEL);
    this.base ??= service.ensureBase({
      params: { base_id: this.baseId },
      body: { id: this.baseId, name: 'Test base', location: this.baseLocation, pads: 10 },
    });
    const base = await this.base;
    const droneId = newId('drone');
    const name = `Test drone ${this.droneIds.length + 1}`;
    const body = { name, model_id: model.id, base_id: base.id };
    const drone = await service.ensureDrone({ params: { drone_id: droneId }, body });
    this.droneIds.push(droneId);
    this.lab.boarding(droneId);
    if (pilot) await this.lab.board(droneId, { drone, model, base });
    return droneId;
  }

  /** One of another model that flies farther than the others; from a base of its own it is at the pickup later than they. */
  async addLongRangeDrone(): Promise<DroneId> {
    const { drone } = this.lab.clients;
    const battery_capacity_wh = TEST_MODEL.battery_capacity_wh * 4;
    const model = { ...TEST_MODEL, id: newId('model'), name: 'Test albatross', battery_capacity_wh };
    const location = destination(this.baseLocation, 270, 2_000);
    const base = { id: newId('base'), name: 'Test base, farther away', location, pads: 1 };
    await drone.ensureModel({ params: { model_id: model.id }, body: model });
    await drone.ensureBase({ params: { base_id: base.id }, body: base });
    const droneId = newId('drone');
    const body = { name: 'Test albatross', model_id: model.id, base_id: base.id };
    await drone.ensureDrone({ params: { drone_id: droneId }, body });
    this.droneIds.push(droneId);
    this.lab.boarding(droneId);
    await this.lab.board(droneId);
    return droneId;
  }

  /** Every drone has a pilot from now on. */
  async boardAll(): Promise<void> {
    for (const droneId of this.droneIds) {
      if (!this.lab.pilot.has(droneId)) await this.lab.board(droneId);
    }
  }

  /** What an operator does to all its drones. */
  async setDrones(state: 'idle' | 'maintenance'): Promise<void> {
    for (const droneId of this.droneIds) {
      await this.lab.clients.drone.setDroneState({
        params: { drone_id: droneId },
        body: { state, reason: 'inspection', by: 'test' },
      });
    }
  }

  async order(options: DeliveryOptions = {}): Promise<LabDelivery> {
    const { lab } = this;
    const pickup = destination(this.baseLocation, 90, options.toPickupM ?? 1_500);
    const dropoff = destination(pickup, 0, options.toDropoffM ?? 2_000);
    const deliveryId = options.id ?? newId('delivery');
    const price: Money = { amount: options.priceCents ?? 1_234, currency: 'USD' };
    const packages = [
      {
        id: newId('package'),
        size: 'small' as const,
        weight_kg: options.weightKg ?? 1.2,
        tag: 'TEST',
        ...(options.declaredCents !== undefined && {
          declared_value: { amount: options.declaredCents, currency: 'USD' },
        }),
      },
    ];
    const deadline =
      options.deadlineInS === undefined ? null : isoTime(lab.nowMs + options.deadlineInS * 1000);
    const pickupWindow = options.pickup ? lab.windowIn(options.pickup) : null;
    const input: DeliveryInput = {
      deliveryId,
      accountId: this.accountId,
      livemode: false,
      externalId: options.externalId ?? null,
      pickup: { location: pickup },
      dropoff: { location: dropoff },
      packages,
      expedited: options.expedited ?? false,
      deadline,
      pickupWindow,
      undeliverableAction: options.undeliverableAction ?? 'return',
      ...(options.confirmation && { confirmation: options.confirmation }),
      price,
      clock: lab.server.clock,
      acceptedAt: isoTime(lab.nowMs),
      ...(options.policy && { policy: options.policy }),
    };
    await lab.clients.delivery.createDelivery({
      body: {
        id: deliveryId,
        account_id: this.accountId,
        livemode: false,
        external_id: null,
        pickup: input.pickup,
        dropoff: input.dropoff,
        packages,
        expedited: input.expedited,
        deadline,
        confirmation: options.confirmation ?? 'none',
        undeliverable_action: input.undeliverableAction,
        metadata: {},
        price,
        created_at: input.acceptedAt,
        eta: { status: 'pending', pickup_at: null, dropoff_at: null },
        pickup_window: pickupWindow,
      },
    });
    if (options.taskTimeoutMs !== undefined) lab.taskTimeouts.set(deliveryId, options.taskTimeoutMs);
    await lab.workflows.start(input);
    const delivery = new LabDelivery(this, deliveryId, price, pickup);
    lab.watch(delivery);
    return delivery;
  }
}

/** A small parcel drone; figures of the kind in local/seed. */
const TEST_MODEL: DroneModel = {
  id: newId('model'),
  name: 'Test kestrel',
  empty_mass_kg: 6.3,
  max_payload_kg: 2.3,
  max_package_size: 'medium',
  bay_slots: 2,
  cruise_speed_mps: 18,
  climb_speed_mps: 4,
  descent_speed_mps: 3,
  cruise_altitude_m: 70,
  battery_capacity_wh: 550,
  hover_power_w: 720,
  cruise_power_w: 684,
  charge_power_w: 1_100,
  reserve_fraction: 0.3,
};

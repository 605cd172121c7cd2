/** What the demo flies: one delivery for each thing that can become of one, between real places around Seattle. */
import type { ChargedOutcome } from '../../services/account/contract/index.ts';
import type {
  ConfirmationStatus,
  DeliveryStatus,
  FailureReason,
} from '../../services/delivery/contract/index.ts';
import type { CreateDeliveryRequest } from '../../services/ingestion/contract/index.ts';
import type { ProblemSlug } from '../../shared/errors.ts';
import type { Stop } from '../../shared/schemas.ts';
import type { ACCOUNTS } from '../seed/index.ts';

export interface Scenario {
  /** In a few words, for the table. */
  name: string;
  account: keyof typeof ACCOUNTS;
  request: CreateDeliveryRequest;
  /** Its deadline, minutes of the clock from the request on. */
  deadlineInMin?: number;
  /** What the simulator is told to let go wrong. */
  fault?: DemoFault;
  /** The sender cancels it once it has this status. */
  cancelAt?: DeliveryStatus;
  expected: Expected;
}

export type DemoFault =
  | { failure: 'motor_failure'; stage: 'to_pickup'; at: number }
  | { failure: 'sender_absent'; stage: 'at_pickup' }
  | { failure: 'dropoff_blocked' | 'recipient_absent'; stage: 'at_dropoff' };

export type Expected =
  /** Not accepted: the API says no at once. */
  | { outcome: 'refused'; problem: ProblemSlug }
  | {
      outcome: DeliveryStatus;
      reason: FailureReason | 'requested_by_sender' | null;
      fulfilment: 'drone' | 'carrier' | null;
      /** Drones that were tried. */
      attempts: number;
      charged: ChargedOutcome;
      /** Compensations that must have run, in this order among others; the numbers are of the try. */
      undone: readonly string[];
      leftUnattended?: true;
      /** What became of the proof of delivery, where one was asked for. */
      confirmation?: ConfirmationStatus;
    };

const stop = (address: string, latitude: number, longitude: number): Stop => ({
  location: { latitude, longitude },
  address,
});

const PLACES = {
  marymoor: stop('Marymoor Village, Redmond', 47.6587, -122.1185),
  overlake: stop('Overlake Medical Tower, Redmond', 47.6405, -122.1335),
  bellevueSquare: stop('Bellevue Square', 47.6163, -122.2035),
  wilburton: stop('Wilburton Hill, Bellevue', 47.607, -122.179),
  medinaPark: stop('Medina Park', 47.6205, -122.228),
  universityVillage: stop('University Village, Seattle', 47.6627, -122.2988),
  greenLake: stop('Green Lake, Seattle', 47.6805, -122.329),
  wallingford: stop('Wallingford, Seattle', 47.6613, -122.334),
  pioneerSquare: stop('Pioneer Square, Seattle', 47.6015, -122.334),
  beaconHill: stop('Beacon Hill, Seattle', 47.579, -122.311),
  georgetown: stop('Georgetown, Seattle', 47.5506, -122.3215),
  kirklandUrban: stop('Kirkland Urban', 47.6785, -122.1985),
  juanitaBeach: stop('Juanita Beach, Kirkland', 47.7045, -122.216),
  houghton: stop('Houghton, Kirkland', 47.6585, -122.203),
  rentonHighlands: stop('Renton Highlands', 47.506, -122.178),
  skyway: stop('Skyway', 47.4925, -122.235),
} as const;

const small = (weightKg: number): CreateDeliveryRequest['packages'][number] => ({
  size: 'small',
  weight_kg: weightKg,
});

/** Somebody who can be sent a link and a PIN. */
const reachable = (place: Stop): Stop => ({ ...place, contact: { email: 'recipient@example.com' } });

const DELIVERED = {
  outcome: 'delivered',
  reason: null,
  fulfilment: 'drone',
  attempts: 1,
  charged: 'delivered',
  undone: [],
} as const;

/** The only drone of its kind that flies today; the operator has the others inspected. */
export const HEAVY_LIFTER = { model: 'Condor', flying: 'Condor-35' } as const;

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'an ordinary delivery',
    account: 'standard',
    request: { pickup: PLACES.marymoor, dropoff: PLACES.overlake, packages: [small(1.2)] },
    expected: DELIVERED,
  },
  {
    name: 'an account that is suspended',
    account: 'suspended',
    request: { pickup: PLACES.marymoor, dropoff: PLACES.overlake, packages: [small(0.5)] },
    expected: { outcome: 'refused', problem: 'account-suspended' },
  },
  {
    name: 'heavy: for the only heavy lifter',
    account: 'standard',
    request: {
      pickup: PLACES.kirklandUrban,
      dropoff: PLACES.juanitaBeach,
      packages: [{ size: 'large', weight_kg: 7.5 }],
    },
    expected: DELIVERED,
  },
  {
    name: 'heavy and urgent: by carrier',
    account: 'carrierFallback',
    // Less than a courier is given anyway, so there is no time to wait until the heavy lifter is back.
    deadlineInMin: 40,
    request: {
      pickup: PLACES.pioneerSquare,
      dropoff: PLACES.beaconHill,
      packages: [{ size: 'large', weight_kg: 8.2 }],
    },
    expected: { ...DELIVERED, fulfilment: 'carrier', attempts: 0, undone: ['release_drone/1'] },
  },
  {
    name: 'a drone that fails is replaced',
    account: 'standard',
    request: { pickup: PLACES.bellevueSquare, dropoff: PLACES.wilburton, packages: [small(0.8)] },
    fault: { failure: 'motor_failure', stage: 'to_pickup', at: 0.6 },
    expected: { ...DELIVERED, attempts: 2, undone: ['recall_drone/1', 'release_drone/1'] },
  },
  {
    name: 'the sender does not come',
    account: 'standard',
    request: { pickup: PLACES.universityVillage, dropoff: PLACES.wallingford, packages: [small(1.5)] },
    fault: { failure: 'sender_absent', stage: 'at_pickup' },
    expected: {
      outcome: 'failed',
      reason: 'sender_absent',
      fulfilment: 'drone',
      attempts: 1,
      charged: 'sender_absent',
      undone: ['recall_drone/1', 'release_drone/1', 'void_packages'],
    },
  },
  {
    name: 'no credit left',
    account: 'tinyCredit',
    request: { pickup: PLACES.wilburton, dropoff: PLACES.medinaPark, packages: [small(0.4)] },
    expected: {
      outcome: 'failed',
      reason: 'credit_exceeded',
      fulfilment: null,
      attempts: 0,
      charged: 'our_failure',
      undone: ['void_authorization'],
    },
  },
  {
    name: 'nobody there to confirm it: returned',
    account: 'standard',
    request: {
      pickup: PLACES.houghton,
      dropoff: reachable(PLACES.kirklandUrban),
      packages: [small(1)],
      confirmation: 'pin',
    },
    fault: { failure: 'recipient_absent', stage: 'at_dropoff' },
    expected: { ...DELIVERED, outcome: 'returned', charged: 'returned', confirmation: 'not_given' },
  },
  {
    name: 'cancelled before the pickup',
    account: 'standard',
    request: { pickup: PLACES.rentonHighlands, dropoff: PLACES.skyway, packages: [small(0.9)] },
    cancelAt: 'enroute_to_pickup',
    expected: {
      outcome: 'cancelled',
      reason: 'requested_by_sender',
      fulfilment: 'drone',
      attempts: 1,
      charged: 'cancelled_after_dispatch',
      undone: ['recall_drone/1', 'release_drone/1', 'void_packages'],
    },
  },
  {
    name: 'left at the door, as asked',
    account: 'standard',
    request: {
      pickup: PLACES.medinaPark,
      dropoff: PLACES.bellevueSquare,
      packages: [small(0.7)],
      undeliverable_action: 'leave',
    },
    fault: { failure: 'dropoff_blocked', stage: 'at_dropoff' },
    expected: { ...DELIVERED, leftUnattended: true },
  },
  {
    name: 'two packages, expedited',
    account: 'standard',
    request: {
      pickup: PLACES.beaconHill,
      dropoff: PLACES.georgetown,
      packages: [small(1.1), { size: 'medium', weight_kg: 2.4 }],
      expedited: true,
    },
    expected: DELIVERED,
  },
  {
    name: 'across Green Lake, by PIN',
    account: 'carrierFallback',
    request: {
      pickup: PLACES.wallingford,
      dropoff: reachable(PLACES.greenLake),
      packages: [small(2)],
      confirmation: 'pin',
    },
    expected: { ...DELIVERED, confirmation: 'confirmed' },
  },
  {
    name: 'over the hills of Renton, with a photo',
    account: 'standard',
    request: {
      pickup: PLACES.skyway,
      dropoff: PLACES.rentonHighlands,
      packages: [small(1.8)],
      confirmation: 'photo',
    },
    expected: { ...DELIVERED, confirmation: 'confirmed' },
  },
];

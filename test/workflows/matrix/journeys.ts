/**
 * Ways a delivery can go, which together pass every step and every wait of the registry. A step or wait that none of them reaches
 * makes the matrix red: add the way that does.
 */
import type { Wait } from '../../../workflows/delivery/registry.ts';
import type { Fault } from '../faults.ts';
import type { Lab } from '../lab.ts';
import type { LabDelivery } from '../lab-delivery.ts';
import type { DeliveryOptions, Scene } from '../scene.ts';
import { askTo, changeDropoff, confirmByPin } from './people.ts';
import type { Seen } from './voyage.ts';

/** Something a person or the world does on the way, once, as soon as it is seen to be time. */
export interface Intervenes {
  when: (seen: Seen) => boolean;
  act: (delivery: LabDelivery) => unknown;
}

export interface Journey {
  name: string;
  options?: DeliveryOptions;
  /** The world before it is ordered. */
  prepare?: (scene: Scene, lab: Lab) => unknown;
  onTheWay?: Intervenes[];
  /** What a person answers who is asked on the way, if that is among the answers. */
  answer?: string;
  /** What a service answers that is not so. */
  lies?: Omit<Fault, 'of'>[];
  /** What makes it wait for too long, where a shorter time would already end an earlier wait. */
  delays?: Partial<Record<Wait, Intervenes>>;
}

const CARRIER_ONLY: DeliveryOptions = { drones: 0, account: { carrier: true, carrierCapCents: 10_000 } };
const WEEK_S = 7 * 24 * 60 * 60;

/** All drones of the scene meet it. */
const all =
  (script: Parameters<Lab['pilot']['arm']>[1]) =>
  (scene: Scene, lab: Lab): void => {
    for (const droneId of scene.droneIds) lab.pilot.arm(droneId, script);
  };

const cancelled = (when: Intervenes['when']): Intervenes => ({
  when,
  act: (delivery) => askTo('cancel', delivery),
});

/** A step is disturbed on the first journey that reaches it. */
export const JOURNEYS: Journey[] = [
  { name: 'a drone flies it' },
  {
    name: 'the first drone fails, a second one flies it',
    prepare: all({ failure: 'motor_failure', stage: 'to_pickup' }),
    onTheWay: [
      { when: ({ status }) => status === 'enroute_to_pickup', act: (delivery) => delivery.scene.addDrone() },
    ],
  },
  {
    name: 'no drone is free, a second reserve gets one',
    prepare: (scene) => scene.setDrones('maintenance'),
    onTheWay: [
      {
        when: ({ waitingFor, waitedMs }) => waitingFor === 'a free drone' && waitedMs > 60_000,
        act: (delivery) => delivery.scene.setDrones('idle'),
      },
    ],
  },
  {
    name: 'its pickup is scheduled, and its authorization renewed',
    options: {
      pickup: { fromS: 1_500, toS: 3_000 },
      // It runs out after a week: renewed once before the drone is planned.
      policy: { renewAheadS: WEEK_S - 600, pickupLeadS: 600 },
    },
  },
  { name: 'a carrier drives it', options: CARRIER_ONLY },
  { name: 'a carrier drives it, late', options: { ...CARRIER_ONLY, policy: { carrierSlackS: -600 } } },
  {
    name: 'its dropoff is blocked, it is returned',
    options: { undeliverableAction: 'return' },
    prepare: all({ failure: 'dropoff_blocked' }),
  },
  {
    name: 'its dropoff is blocked, it is left there',
    options: { undeliverableAction: 'leave' },
    prepare: all({ failure: 'dropoff_blocked' }),
  },
  {
    name: 'it is cancelled on the way to the pickup',
    onTheWay: [cancelled(({ status }) => status === 'enroute_to_pickup')],
  },
  {
    name: 'it is cancelled in the Temporal UI',
    onTheWay: [
      {
        when: ({ status }) => status === 'enroute_to_pickup',
        act: (delivery) => delivery.handle.cancel(),
      },
    ],
  },
  {
    name: 'its carrier is cancelled',
    options: CARRIER_ONLY,
    onTheWay: [cancelled(({ status }) => status === 'enroute_to_pickup')],
  },
  {
    name: 'it is cancelled while the drone loads out of reach',
    prepare: all({ failure: 'lost_link', stage: 'at_pickup', forS: 300 }),
    onTheWay: [cancelled(({ isLoadingInSilence }) => isLoadingInSilence)],
  },
  {
    name: 'its drone falls silent while it loads',
    prepare: all({ failure: 'lost_link', stage: 'at_pickup', forS: 900 }),
  },
  {
    name: 'its drone fails at the pickup, and is said to be loaded',
    prepare: all({ failure: 'motor_failure', stage: 'at_pickup' }),
    lies: [{ activity: 'recallDrone', how: 'lie', answer: { outcome: 'loaded' }, times: 1 }],
  },
  {
    name: 'its dropoff is changed twice in the air',
    options: { toDropoffM: 2_000, priceCents: 679 },
    onTheWay: [
      {
        when: ({ status }) => status === 'enroute_to_pickup',
        act: (delivery) => changeDropoff(delivery, 3_000, 1),
      },
      {
        when: ({ status }) => status === 'enroute_to_dropoff',
        act: (delivery) => changeDropoff(delivery, 4_000, 2),
      },
    ],
  },
  {
    name: 'its dropoff is changed while it waits for a drone',
    options: { toDropoffM: 2_000, priceCents: 679 },
    prepare: (scene) => scene.setDrones('maintenance'),
    onTheWay: [
      {
        when: ({ waitingFor }) => waitingFor === 'a free drone',
        act: (delivery) => changeDropoff(delivery, 3_000, 1),
      },
      { when: ({ waitedMs }) => waitedMs > 60_000, act: (delivery) => delivery.scene.setDrones('idle') },
    ],
  },
  {
    name: 'the recipient confirms it by PIN',
    options: { confirmation: 'pin' },
    onTheWay: [
      { when: ({ waitingFor }) => waitingFor === 'the recipient’s confirmation', act: confirmByPin },
    ],
  },
  {
    name: 'it is confirmed, and the drone is said to have turned back',
    options: { confirmation: 'pin' },
    onTheWay: [
      { when: ({ waitingFor }) => waitingFor === 'the recipient’s confirmation', act: confirmByPin },
    ],
    lies: [{ activity: 'lowerPackage', how: 'lie', answer: { outcome: 'too_late' }, times: 1 }],
  },
  {
    name: 'a carrier has it for too long, and it is given up for lost',
    options: { ...CARRIER_ONLY, policy: { carrierSlackS: 1 } },
    answer: 'lost',
  },
  {
    name: 'its drone sets it down on the way, and when one is free another takes it over',
    options: { policy: { awaitDroneS: 120 } },
    prepare: all({ failure: 'motor_failure', stage: 'to_dropoff' }),
    answer: 'another_drone',
    onTheWay: [
      {
        when: ({ waitingFor }) => waitingFor === 'a person’s word on the package',
        act: (delivery) => delivery.scene.addDrone(),
      },
    ],
    delays: {
      // The drone before has to be loaded within the same time.
      'the package to be loaded': {
        when: ({ waitingFor, calls }) =>
          waitingFor === 'the drone at the pickup' && calls.some(({ key }) => key.endsWith('/dispatch/2')),
        act: ({ scene: { lab, droneIds } }) => {
          for (const droneId of droneIds.slice(1)) lab.pilot.arm(droneId, { failure: 'sender_absent' });
        },
      },
    },
  },
];

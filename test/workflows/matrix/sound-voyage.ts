/** A voyage with nothing wrong, for who plants something: cancelled after the drone was sent, with a fee, everything undone. */
import type { Call, ServiceRequest } from '../faults.ts';
import type { Judged, Told } from './violations.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
export interface Planted {
  voyage: Mutable<Omit<Judged, 'calls' | 'requests'>> & { calls: Call[]; requests: ServiceRequest[] };
  events: Told[];
}

export const DELIVERY = 'del_1';

type Step = [activity: Call['activity'], key: string, operation: string, refersTo?: string];
const STEPS: Step[] = [
  ['authorize', 'authorize/1', 'authorize'],
  ['registerPackages', 'register/1', 'registerPackages'],
  ['reserveDrone', 'reserve/1', 'reserve'],
  ['dispatchDrone', 'dispatch/1', 'dispatch', 'reserve/1'],
  ['readDroneMilestones', '', 'readMilestones'],
  ['recallDrone', 'recall/1', 'recall', 'reserve/1'],
  ['appendEvents', 'event_cancelled/1', 'appendEvents'],
  ['capture', 'capture/1', 'capture', 'authorize/1'],
  ['recallDrone', 'recall/2', 'recall', 'reserve/1'],
  ['releaseDrone', 'release/1', 'release', 'reserve/1'],
  ['voidPackages', 'void_packages/1', 'voidPackages', 'register/1'],
];

const keyed = (key: string): string => (key === '' ? '' : `${DELIVERY}/${key}`);

export function sound(): Planted {
  const calls: Call[] = [];
  const requests: ServiceRequest[] = [];
  for (const [at, [activity, key, operation, refersTo]] of STEPS.entries()) {
    const began = at * 10;
    const call: Call = {
      deliveryId: DELIVERY,
      activity,
      key: keyed(key),
      refersTo: refersTo === undefined ? null : keyed(refersTo),
      isLocal: false,
      result: 'ok',
      acted: true,
      began,
      ended: began + 9,
      hit: false,
      hitBy: null,
    };
    calls.push(call);
    requests.push({
      service: 'some',
      operation,
      method: key === '' ? 'GET' : 'POST',
      key: key === '' ? undefined : call.key,
      body: JSON.stringify({ operation }),
      at: began + 5,
      call,
    });
  }
  return {
    voyage: {
      deliveryId: DELIVERY,
      end: 'cancelled (requested_by_operator)',
      outcome: {
        status: 'cancelled',
        reason: 'requested_by_operator',
        compensation: 'complete',
        attempts: 1,
      },
      charged: { amount: 494, told: 494 },
      calls,
      requests,
      asked: [],
      offTheMarkM: 0,
      tasksLost: 0,
      creditNotes: 0,
      openInterventions: [],
      heldAtItsEnd: [],
      heldSinceLate: [],
      held: [],
    },
    events: ['created', 'confirmed', 'cancelled', 'compensation_complete'].map((what, at) => ({
      sequence: at + 1,
      type: `delivery.${what}`,
    })),
  };
}

/** The call of a step, `reserve/1`, and what it asked. */
export function stepOf(planted: Planted, key: string): { call: Call; request: ServiceRequest } {
  const call = planted.voyage.calls.find((one) => one.key === keyed(key));
  const request = planted.voyage.requests.find((one) => one.call === call);
  if (!call || !request) throw new Error(`there is no ${key}`);
  return { call, request };
}

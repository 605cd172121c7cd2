import type { droneContract } from '../services/drone/contract/index.ts';
import type { Client } from '../shared/http/client.ts';
import type { BodyOf, Output } from '../shared/http/contract.ts';
import type { ReservationId } from '../shared/ids.ts';
import { callService, type Keyed } from './call.ts';

type Contract = typeof droneContract;
type Body<K extends keyof Contract> = BodyOf<Contract, K>;

/** Steps at the drone service: reserve, dispatch, and all ways of getting a drone or its package back. */
export function droneActivities(drone: Client<Contract>) {
  return {
    reserveDrone: ({ key, ...body }: Keyed & Body<'reserve'>): Promise<Output<Contract['reserve']>> =>
      callService(key, (options) => drone.reserve({ body }, options)),

    releaseDrone: ({ key, ...body }: Keyed & Body<'release'>): Promise<Output<Contract['release']>> =>
      callService(key, (options) => drone.release({ body }, options)),

    dispatchDrone: ({ key, ...body }: Keyed & Body<'dispatch'>): Promise<Output<Contract['dispatch']>> =>
      callService(key, (options) => drone.dispatch({ body }, options)),

    recallDrone: ({ key, ...body }: Keyed & Body<'recall'>): Promise<Output<Contract['recall']>> =>
      callService(key, (options) => drone.recall({ body }, options)),

    returnToSender: ({
      key,
      ...body
    }: Keyed & Body<'returnToSender'>): Promise<Output<Contract['returnToSender']>> =>
      callService(key, (options) => drone.returnToSender({ body }, options)),

    lowerPackage: ({
      key,
      ...body
    }: Keyed & Body<'lowerPackage'>): Promise<Output<Contract['lowerPackage']>> =>
      callService(key, (options) => drone.lowerPackage({ body }, options)),

    rerouteDrone: ({ key, ...body }: Keyed & Body<'reroute'>): Promise<Output<Contract['reroute']>> =>
      callService(key, (options) => drone.reroute({ body }, options)),

    undoReroute: ({ key, ...body }: Keyed & Body<'undoReroute'>): Promise<Output<Contract['undoReroute']>> =>
      callService(key, (options) => drone.undoReroute({ body }, options)),

    /** Whether any drone of the fleet could do it. Changes nothing, so it has no key. */
    assessJob: (body: Body<'assessJob'>): Promise<Output<Contract['assessJob']>> =>
      callService(undefined, (options) => drone.assessJob({ body }, options)),

    leaveUnattended: ({
      key,
      ...body
    }: Keyed & Body<'leaveUnattended'>): Promise<Output<Contract['leaveUnattended']>> =>
      callService(key, (options) => drone.leaveUnattended({ body }, options)),

    readDroneMilestones: (input: {
      reservationId: ReservationId;
      afterSequence: number;
    }): Promise<Output<Contract['readMilestones']>['data']> =>
      callService(undefined, async (options) => {
        const { data } = await drone.readMilestones(
          { params: { reservation_id: input.reservationId }, query: { after_sequence: input.afterSequence } },
          options,
        );
        return data;
      }),
  };
}

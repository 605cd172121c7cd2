/** Everything that is needed to have deliveries flown: drones, their telemetry, a supply of jobs and a pilot. */
import { messageOf } from '../../shared/errors.ts';
import type { System } from '../system.ts';
import { Fleet, registerDrones } from './fleet.ts';
import { jobs } from './jobs.ts';
import { type Flown, Pilot } from './pilot.ts';
import { Pace } from './timeline.ts';

export interface Flights {
  /** One delivery, from the post to the drone back at its base. */
  deliver(): Promise<Flown>;
  one(): Promise<void>;
  /** How many drones the system knows. */
  drones: number;
  samples(): number;
  readsPerDelivery(): number;
  stop(): Promise<void>;
}

export async function startFlights(
  system: System,
  options: { drones: number; pollEveryMs: number },
): Promise<Flights> {
  await registerDrones(system.services.drone, options.drones);
  const fleet = new Fleet(system.drones, (error) => console.error(`telemetry: ${messageOf(error)}`));
  await fleet.start();
  const pilot = new Pilot({
    business: system.business,
    drones: system.drones,
    fleet,
    pace: new Pace(options.pollEveryMs),
  });
  const nextJob = jobs();
  let reads = 0;
  let delivered = 0;
  const deliver = async () => {
    const flown = await pilot.deliver(nextJob());
    reads += flown.reads;
    delivered += 1;
    return flown;
  };
  return {
    deliver,
    one: async () => {
      await deliver();
    },
    drones: fleet.size,
    samples: () => fleet.samples,
    readsPerDelivery: () => (delivered === 0 ? 0 : reads / delivered),
    stop: () => fleet.stop(),
  };
}

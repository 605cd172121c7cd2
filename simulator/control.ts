/** The simulator's control port: failures by command, and the truth about every aircraft. Loopback only, without keys. */
import type { FastifyInstance } from 'fastify';
import type { Clock } from '../shared/clock.ts';
import { createApp, implement } from '../shared/http/server.ts';
import type { Logger } from '../shared/logger.ts';
import { hasLink, observe } from './aircraft.ts';
import { controlContract } from './contract.ts';
import { Failures } from './failures.ts';
import type { Fleet } from './fleet.ts';

export interface ControlOptions {
  fleet: Fleet;
  failures: Failures;
  clock: Clock;
  logger: Logger;
}

export async function buildControl({
  fleet,
  failures,
  clock,
  logger,
}: ControlOptions): Promise<FastifyInstance> {
  const app = await createApp({
    name: 'simulator',
    title: 'Simulator control',
    description: 'Orders failures, and tells how every simulated aircraft really is.',
    logger,
  });
  const twins = () => fleet.aircraft().map(({ aircraft }) => aircraft);
  implement(app, controlContract, {
    async orderFailure({ body }) {
      const command = failures.order(body, clock.nowMs());
      // `next` is about missions to come; the others also strike the one that is flown now.
      if (!command.next) {
        fleet.armInFlight(Failures.faultOf(command), (aircraft, mission) => {
          const isMeant = Failures.matches(command, aircraft, mission);
          if (isMeant) failures.assign(command, aircraft);
          return isMeant;
        });
      }
      return command;
    },
    async listCommands() {
      return { data: failures.list(twins()) };
    },
    async clearCommand({ params }) {
      const command = failures.clear(params.command_id, twins());
      fleet.disarm(command.id);
      return command;
    },
    async clearCommands() {
      const cleared = failures.clearAll();
      for (const command of cleared) fleet.disarm(command.id);
      return { cleared: cleared.length };
    },
    async listAircraft() {
      return {
        data: fleet.aircraft().map(({ aircraft, nowMs }) => {
          const now = observe(aircraft, nowMs);
          const { activity, mission, model } = aircraft;
          return {
            drone_id: aircraft.id,
            activity: activity.kind === 'flying' ? `flying ${activity.leg}` : activity.kind,
            position: now.location,
            altitude_m: now.altitudeM,
            speed_mps: now.speedMps,
            battery: now.batteryWh / model.battery_capacity_wh,
            payload_kg: aircraft.payloadKg,
            delivery_id: mission?.delivery_id ?? null,
            has_link: hasLink(aircraft),
            unsaid: aircraft.outbox.length,
          };
        }),
      };
    },
  });
  return app;
}

/**
 * Deliveries completed per second, against the floor on the same server in the same run. Floor and deliveries take turns, so
 * that what else this machine does meets both alike.
 */
import { closedLoop } from '../closed-loop.ts';
import { type CpuByRole, type CpuMeter, startCpuMeter } from '../cpu.ts';
import { type Figure, ratioFigure } from '../figures.ts';
import { type Flights, startFlights } from '../flight/index.ts';
import { requireNothingHeld } from '../flight/held.ts';
import { type Floor, startFloor } from '../floor/index.ts';
import { type System, withSystem } from '../system.ts';
import type { CpuUse, Section, SectionContext } from './section.ts';

const LEVELS = [1, 16, 64] as const;
const QUICK_LEVELS = [1, 16] as const;
const ROUNDS = 2;
/** Twice the highest level: drones on their way home do not hold up the next delivery. */
export const DRONES = 128;
const AIM_RATIO = 0.6;
/** No more than this between two questions for the events of one delivery. */
const POLL_AT_MOST_EVERY_MS = 10;

export const deliveries: Section = (context) =>
  withSystem(context.say, async (system) => {
    const floor = await startFloor({
      address: system.description.temporal_address,
      namespace: system.description.temporal_namespace,
    });
    const flights = await startFlights(system, { drones: DRONES, pollEveryMs: POLL_AT_MOST_EVERY_MS });
    try {
      const levels: Level[] = [];
      for (const inFlight of context.inFlight ?? (context.quick ? QUICK_LEVELS : LEVELS)) {
        levels.push(await measureLevel({ context, system, floor, flights }, inFlight));
      }
      return {
        figures: levels.map((level) => level.figure),
        cpu: levels.flatMap((level) => level.cpu),
        remarks: [
          `Temporal: ${system.temporal}.`,
          `Every role ran as a process of its own, payloads encrypted, ${flights.drones} drones registered, telemetry of each once a second (${flights.samples()} samples). The simulator was off: the bench's pilot was the fleet.`,
          'Nothing was left held after any round: no open reservation, no open authorization, every delivery delivered and complete.',
          `The pilot read the events of a delivery ${flights.readsPerDelivery().toFixed(1)} times on average.`,
          "The floor: a workflow of 6 plain activities and 2 signals, without payloads or codec, on a worker process of its own with the delivery worker's tuning; both signals are sent at the start.",
        ],
      };
    } finally {
      await flights.stop();
      await floor.close();
    }
  });

interface Bench {
  context: SectionContext;
  system: System;
  floor: Floor;
  flights: Flights;
}

interface Level {
  figure: Figure;
  cpu: CpuUse[];
}

async function measureLevel(bench: Bench, inFlight: number): Promise<Level> {
  const { context, system, floor, flights } = bench;
  const floorUses: CpuUse[] = [];
  const deliveryUses: CpuUse[] = [];
  for (let round = 1; round <= (context.quick ? 1 : ROUNDS); round++) {
    context.say(`${inFlight} in flight, round ${round}: floor`);
    floorUses.push(await measure(bench, inFlight, () => floor.one()));
    context.say(`${inFlight} in flight, round ${round}: deliveries`);
    deliveryUses.push(await measure(bench, inFlight, () => flights.one()));
    await requireNothingHeld(system);
  }
  const ofFloor = together(`floor at ${inFlight} in flight`, floorUses);
  const ofDeliveries = together(`deliveries at ${inFlight} in flight`, deliveryUses);
  return {
    figure: ratioFigure(
      {
        id: `deliveries_${inFlight}`,
        name: `deliveries completed at ${inFlight} in flight`,
        value: ofDeliveries.completed / ofDeliveries.windowS,
        unit: '/s',
        floor: { name: 'no-op workflows/s', value: ofFloor.completed / ofFloor.windowS },
      },
      { is: 'at least', ratio: AIM_RATIO },
    ),
    cpu: [ofFloor, ofDeliveries],
  };
}

async function measure(
  { context, system, floor }: Bench,
  inFlight: number,
  one: () => Promise<void>,
): Promise<CpuUse> {
  const meter = () =>
    startCpuMeter(
      { ...system.roots(), 'floor worker': floor.pid, bench: process.pid },
      system.description.postgres_url,
    );
  let opened: CpuMeter | undefined;
  let byRole: CpuByRole = {};
  const { completed, windowS } = await closedLoop({
    inFlight,
    warmUpMs: context.quick ? 1_500 : 4_000,
    measureMs: context.quick ? 4_000 : 15_000,
    one,
    onWindow: async (edge) => {
      if (edge === 'open') opened = await meter();
      else byRole = (await opened?.read()) ?? {};
    },
  });
  return { of: '', completed, windowS, byRole };
}

/** The rounds of a level as one. */
function together(of: string, uses: readonly CpuUse[]): CpuUse {
  const sum = (pick: (use: CpuUse) => number) => uses.reduce((total, use) => total + pick(use), 0);
  const roles = new Set(uses.flatMap((use) => Object.keys(use.byRole)));
  return {
    of,
    completed: sum((use) => use.completed),
    windowS: sum((use) => use.windowS),
    byRole: Object.fromEntries([...roles].map((role) => [role, sum((use) => use.byRole[role] ?? 0)])),
  };
}

/** The steps of a delivery on its reservation: release, dispatch, recall, return, leave. */
import { conflict, notFound } from '../../../shared/errors.ts';
import type { BodyOf, Output } from '../../../shared/http/contract.ts';
import type { DeliveryId } from '../../../shared/ids.ts';
import type { droneContract } from '../contract/index.ts';
import { readAnswer, withdraw } from '../data/assignments.ts';
import { readFlightByStepKey } from '../data/flights.ts';
import { readFirstMission, readReturnPromise } from '../data/reservations.ts';
import * as commands from '../domain/commands.ts';
import type { Eta } from '../domain/missions.ts';
import * as pickupRace from '../domain/pickup-race.ts';
import { clockNow, type Flight } from '../domain/reservation.ts';
import { type Engine, transact } from './engine.ts';

type Contract = typeof droneContract;
type Named = { reserve_key: string; delivery_id: DeliveryId };

/** The flight of a reserve step. A key that belongs to another delivery is as good as unknown. */
export async function flightOf(
  engine: Engine,
  { reserve_key, delivery_id }: Named,
): Promise<Flight | undefined> {
  const flight = await readFlightByStepKey(engine.database, engine.catalog, reserve_key);
  if (flight && flight.reservation.deliveryId !== delivery_id)
    throw notFound('reservation of this delivery under the step', reserve_key);
  return flight;
}

/**
 * A step that undoes: when the reserve step holds no drone, it is made sure that it never will.
 * Undefined then; else what the rule answered.
 */
async function undo<A>(
  engine: Engine,
  named: Named,
  decide: Parameters<typeof transact<A>>[2],
): Promise<A | undefined> {
  for (;;) {
    const answer = await transact(engine, () => flightOf(engine, named), decide);
    if (answer !== undefined) return answer;
    const withdrawn = await withdraw(
      engine.database,
      named.reserve_key,
      named.delivery_id,
      engine.clock.now(),
    );
    if (withdrawn === 'withdrawn') {
      // A drone that was kept for it goes to the next in turn.
      engine.waitingList.nudge();
      return undefined;
    }
  }
}

export async function release(
  engine: Engine,
  body: BodyOf<Contract, 'release'>,
): Promise<Output<Contract['release']>> {
  const outcome = await undo(engine, body, (flight) => {
    const decided = commands.release(flight, engine.wall());
    return { answer: decided.outcome, ...(decided.transition && { transition: decided.transition }) };
  });
  return { outcome: outcome ?? 'never_reserved' };
}

export async function recall(
  engine: Engine,
  body: BodyOf<Contract, 'recall'>,
): Promise<Output<Contract['recall']>> {
  const outcome = await undo(engine, body, (flight) => {
    const decided = pickupRace.recall(flight, clockNow(flight.reservation, engine.wall()));
    return { answer: decided.outcome, ...(decided.transition && { transition: decided.transition }) };
  });
  return { outcome: outcome ?? 'never_dispatched' };
}

export async function dispatch(
  engine: Engine,
  stepKey: string,
  body: BodyOf<Contract, 'dispatch'>,
): Promise<Output<Contract['dispatch']>> {
  const { pickup_wait_s: pickupWaitS, dropoff_hover_s: dropoffHoverS, confirmation = 'none' } = body;
  const order = { stepKey, pickupWaitS, dropoffHoverS, confirmation };
  const decided = await transact(
    engine,
    () => flightOf(engine, body),
    (flight) => {
      const { reservation } = flight;
      if (reservation.token !== body.reservation_token)
        throw conflict('stale_token', `The reservation's token is ${reservation.token}.`);
      const decision = commands.dispatch(flight, order, engine.wall());
      return {
        answer: { decision, reservation },
        ...('transition' in decision && { transition: decision.transition }),
      };
    },
  );
  if (!decided) {
    const kept = await readAnswer(engine.database, body.reserve_key);
    if (!kept || kept.deliveryId !== body.delivery_id) throw notFound('reserve step', body.reserve_key);
    return { outcome: 'refused', reason: 'released', detail: 'The reserve step holds no drone.' };
  }
  const { decision, reservation } = decided;
  if (decision.outcome === 'refused') {
    const { outcome, reason, detail } = decision;
    return { outcome, reason, detail };
  }
  const mission = await readFirstMission(engine.database, reservation.id);
  if (!mission?.eta) throw new Error(`Reservation ${reservation.id} was dispatched without a mission`);
  return { outcome: 'dispatched', mission_id: mission.missionId, eta: mission.eta as Eta };
}

export async function returnToSender(
  engine: Engine,
  stepKey: string,
  body: BodyOf<Contract, 'returnToSender'>,
): Promise<Output<Contract['returnToSender']>> {
  const decision = await transact(
    engine,
    () => flightOf(engine, body),
    (flight) => {
      const answer = commands.returnToSender(flight, stepKey, engine.wall());
      return { answer, ...('transition' in answer && { transition: answer.transition }) };
    },
  );
  if (!decision) throw notFound('reservation under the step', body.reserve_key);
  if (decision.outcome === 'returning') return { outcome: 'returning', eta_return_at: decision.etaReturnAt };
  const promised = await readReturnPromise(engine.database, stepKey);
  // The answer to this very step was lost on its way.
  if (promised !== null) return { outcome: 'returning', eta_return_at: promised };
  return { outcome: decision.outcome, eta_return_at: null };
}

export async function lowerPackage(
  engine: Engine,
  stepKey: string,
  body: BodyOf<Contract, 'lowerPackage'>,
): Promise<Output<Contract['lowerPackage']>> {
  const outcome = await transact(
    engine,
    () => flightOf(engine, body),
    (flight) => {
      const decision = commands.lowerPackage(flight, stepKey);
      return { answer: decision.outcome, ...(decision.transition && { transition: decision.transition }) };
    },
  );
  if (outcome === undefined) throw notFound('reservation under the step', body.reserve_key);
  return { outcome };
}

export async function leaveUnattended(
  engine: Engine,
  stepKey: string,
  body: BodyOf<Contract, 'leaveUnattended'>,
): Promise<Output<Contract['leaveUnattended']>> {
  const outcome = await transact(
    engine,
    () => flightOf(engine, body),
    (flight) => {
      const decision = commands.leaveUnattended(flight, stepKey);
      return {
        answer: decision.outcome,
        ...(decision.transition && { transition: decision.transition }),
      };
    },
  );
  if (outcome === undefined) throw notFound('reservation under the step', body.reserve_key);
  if (outcome === 'too_late')
    throw conflict('returning', 'The drone is on its way back to the sender with the package.');
  return { outcome };
}

/** Another dropoff for a delivery's flight, and its undoing. */
import { timeMsOf } from '../../../shared/clock.ts';
import { notFound, Problem } from '../../../shared/errors.ts';
import type { BodyOf, Output } from '../../../shared/http/contract.ts';
import type { droneContract } from '../contract/index.ts';
import { isUniqueViolation } from '../data/database.ts';
import { readFleet } from '../data/fleet.ts';
import { barReroute, type KeptReroute, markUndone, readReroute } from '../data/reroutes.ts';
import { infeasibility } from '../domain/assignment.ts';
import * as domain from '../domain/reroute.ts';
import { flightOf } from './delivery-steps.ts';
import { type Engine, transact } from './engine.ts';

type Contract = typeof droneContract;
type Answer = Output<Contract['reroute']>;

export async function reroute(
  engine: Engine,
  stepKey: string,
  body: BodyOf<Contract, 'reroute'>,
): Promise<Answer> {
  const kept = await readReroute(engine.database, stepKey);
  if (kept) return repeated(kept, body);
  try {
    const answer = await transact(
      engine,
      () => flightOf(engine, body),
      (flight) => {
        const decision = domain.reroute(flight, askedBy(body), engine.wall());
        if (decision.outcome === 'refused') return { answer: decision satisfies Answer as Answer };
        const { outcome, eta, transition } = decision;
        const given: Answer = { outcome, eta };
        const { dropoff: before } = flight.reservation;
        return { answer: given, transition: { ...transition, reroute: { stepKey, before, answer: given } } };
      },
    );
    if (answer) return answer;
  } catch (error) {
    // The same step was done, or undone, at the same moment.
    if (!isUniqueViolation(error)) throw error;
    const done = await readReroute(engine.database, stepKey);
    if (done) return repeated(done, body);
    throw error;
  }
  return { outcome: 'refused', reason: 'ended', detail: 'The reserve step holds no drone.' };
}

function askedBy({ dropoff, deadline, take_off_at }: BodyOf<Contract, 'reroute'>): domain.AskedDropoff {
  const msOf = (time: string | undefined) => (time === undefined ? undefined : timeMsOf(time));
  return { dropoff, deadlineMs: msOf(deadline), takeOffAtMs: msOf(take_off_at) };
}

/** The first answer again; after it was undone, that it was. What was answered was written by this service. */
function repeated(kept: KeptReroute, { delivery_id }: BodyOf<Contract, 'reroute'>): Answer {
  if (kept.deliveryId !== delivery_id) throw new Problem('idempotency-key-reused');
  if (kept.done === null || kept.isUndone) {
    return { outcome: 'refused', reason: 'undone', detail: 'The change was undone.' };
  }
  return kept.done.answer as Answer;
}

export async function undoReroute(
  engine: Engine,
  body: BodyOf<Contract, 'undoReroute'>,
): Promise<Output<Contract['undoReroute']>> {
  const { database, clock, wall } = engine;
  const { reroute_key, delivery_id } = body;
  for (;;) {
    const kept = await readReroute(database, reroute_key);
    if (kept === undefined) {
      if (await barReroute(database, reroute_key, delivery_id, clock.now())) {
        return { outcome: 'never_rerouted' };
      }
      continue;
    }
    if (kept.deliveryId !== delivery_id) throw notFound('reroute of this delivery', reroute_key);
    if (kept.isUndone || kept.done === null) return { outcome: 'already_undone' };
    const { before } = kept.done;
    const isUndone = await transact(
      engine,
      () => flightOf(engine, body),
      (flight) => {
        const transition = domain.undoReroute(flight, before, wall());
        return { answer: transition !== null, transition };
      },
    );
    await markUndone(database, reroute_key, clock.now());
    return { outcome: isUndone === true ? 'undone' : 'too_late' };
  }
}

export async function assessJob(
  { database, catalog, wall }: Engine,
  body: BodyOf<Contract, 'assessJob'>,
): Promise<Output<Contract['assessJob']>> {
  const { pickup, dropoff, payload_kg: payloadKg, package_sizes: packageSizes } = body;
  const fleet = await readFleet(database, catalog, new Date(wall()));
  const never = infeasibility({ pickup, dropoff, payloadKg, packageSizes }, fleet);
  return never ? { outcome: 'infeasible', ...never } : { outcome: 'feasible' };
}

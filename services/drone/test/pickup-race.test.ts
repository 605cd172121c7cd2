import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LIVE_CLOCK } from '../../../shared/clock.ts';
import { destination } from '../../../shared/geodesy.ts';
import { newId } from '../../../shared/ids.ts';
import type { MilestoneKind } from '../contract/index.ts';
import { dispatch, leaveUnattended, operate, release, returnToSender } from '../domain/commands.ts';
import { loseLink, regainLink } from '../domain/link-loss.ts';
import { judge } from '../domain/milestones.ts';
import { LOADING_STEPS, recall, requestLoadToken } from '../domain/pickup-race.ts';
import { type Flight, isOpen, type NewMilestone, type Transition } from '../domain/reservation.ts';
import { CITY, MODEL, START_MS } from './support.ts';

const NOW = new Date(START_MS);
const PICKUP = destination(CITY, 90, 1_500);
const DROPOFF = destination(CITY, 45, 3_000);

function heldFlight(): Flight {
  const baseId = newId('base');
  const droneId = newId('drone');
  return {
    reservation: {
      id: newId('reservation'),
      stepKey: 'del/reserve/1',
      token: 1,
      deliveryId: newId('delivery'),
      accountId: newId('account'),
      livemode: false,
      droneId,
      baseId,
      clock: LIVE_CLOCK,
      pickup: PICKUP,
      dropoff: DROPOFF,
      returnTo: PICKUP,
      nextDropoff: null,
      payloadKg: 1,
      state: 'held',
      loading: 'none',
      loadToken: null,
      phase: 'on_base',
      aboard: false,
      jobDone: false,
      leaseExpiresAt: new Date(START_MS + 120_000),
      leaseWall: new Date(START_MS + 120_000),
      recalledAt: null,
      endedAt: null,
      endReason: null,
      createdAt: NOW,
      missionId: null,
      missionVersion: 0,
      command: null,
      pickupWaitS: null,
      dropoffHoverS: null,
      confirmation: null,
      silenceMs: 60_000,
      heardWall: null,
      linkLostAt: null,
      lastAircraftSequence: 0,
      lastSequence: 0,
      signalledSequence: 0,
      revision: 0,
    },
    drone: {
      state: 'held',
      stateReason: null,
      position: CITY,
      altitudeM: 0,
      battery: 1,
      recordedAt: null,
      heardWall: null,
    },
    base: { id: baseId, name: 'Base', location: CITY, pads: 4 },
    model: { ...MODEL, id: newId('model') },
  };
}

/** What the data layer makes of a transition. */
function apply(flight: Flight, transition: Transition): Flight {
  const { mission, drone } = transition;
  const reservation = {
    ...flight.reservation,
    ...transition.change,
    missionVersion: flight.reservation.missionVersion + (mission ? 1 : 0),
    command: mission?.command ?? flight.reservation.command,
  };
  return {
    ...flight,
    reservation,
    drone: drone ? { ...flight.drone, state: drone.state, stateReason: drone.reason } : flight.drone,
  };
}

/** Everything that can happen to a reservation, in any order. */
type Happening =
  | { what: 'dispatch' | 'recall' | 'release' | 'load' | 'return' | 'leave' | 'silence' | 'back' }
  | { what: 'operate'; state: 'idle' | 'maintenance' | 'grounded' }
  | { what: 'tell'; kind: MilestoneKind; aboard?: boolean; comingHome?: boolean };

const KINDS: MilestoneKind[] = [
  'took_off',
  'arrived_at_pickup',
  'loaded',
  'departed_pickup',
  'arrived_at_dropoff',
  'dropoff_blocked',
  'released',
  'turned_back',
  'arrived_at_return',
  'recalled_empty',
  'landed',
];

const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .constantFrom(
        'dispatch' as const,
        'recall' as const,
        'release' as const,
        'load' as const,
        'return' as const,
        'leave' as const,
        'silence' as const,
        'back' as const,
      )
      .map((what) => ({ what })),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom('idle' as const, 'maintenance' as const, 'grounded' as const)
      .map((state) => ({ what: 'operate' as const, state })),
  },
  { weight: 8, arbitrary: fc.constantFrom(...KINDS).map((kind) => ({ what: 'tell' as const, kind })) },
  {
    weight: 1,
    arbitrary: fc
      .record({ aboard: fc.boolean(), comingHome: fc.boolean() })
      .map((detail) => ({ what: 'tell' as const, kind: 'failed' as const, ...detail })),
  },
);

/** Long enough prefixes of a real flight that the interesting places are reached. */
const flightPrefix = fc
  .integer({ min: 0, max: 8 })
  .map((length): Happening[] =>
    (
      [
        { what: 'dispatch' },
        { what: 'tell', kind: 'took_off' },
        { what: 'tell', kind: 'arrived_at_pickup' },
        { what: 'load' },
        { what: 'tell', kind: 'loaded' },
        { what: 'tell', kind: 'departed_pickup' },
        { what: 'tell', kind: 'arrived_at_dropoff' },
        { what: 'tell', kind: 'dropoff_blocked' },
      ] as Happening[]
    ).slice(0, length),
  );

function placeOf(kind: MilestoneKind, flight: Flight) {
  if (kind === 'released') return flight.reservation.phase === 'at_return' ? PICKUP : DROPOFF;
  if (kind === 'arrived_at_dropoff') return DROPOFF;
  return ['arrived_at_pickup', 'loaded', 'arrived_at_return'].includes(kind) ? PICKUP : CITY;
}

function happen(flight: Flight, one: Happening): Transition | null | undefined {
  const { reservation } = flight;
  switch (one.what) {
    case 'dispatch': {
      const order = { stepKey: 'k', pickupWaitS: 600, dropoffHoverS: 120, confirmation: 'none' } as const;
      const decided = dispatch(flight, order, START_MS);
      return 'transition' in decided ? decided.transition : null;
    }
    case 'recall':
      return recall(flight, NOW).transition;
    case 'release':
      return release(flight, START_MS).transition;
    case 'load': {
      const asked = { droneId: reservation.droneId, reservationToken: reservation.token };
      const decided = requestLoadToken(flight, asked, 'ldt_1');
      return 'transition' in decided ? decided.transition : null;
    }
    case 'return': {
      const decided = returnToSender(flight, 'k', START_MS);
      return 'transition' in decided ? decided.transition : null;
    }
    case 'leave':
      return leaveUnattended(flight, 'k').transition;
    case 'silence':
      return loseLink(flight, START_MS);
    case 'back':
      return regainLink(flight);
    case 'operate': {
      if (!isOpen(reservation)) return null;
      const decided = operate(flight, { state: one.state, reason: 'test' }, START_MS);
      return decided.outcome === 'allowed' ? decided.transition : null;
    }
    case 'tell': {
      if (reservation.state !== 'committed') return null;
      const judgement = judge(flight, {
        kind: one.kind,
        occurredAt: NOW,
        position: placeOf(one.kind, flight),
        aircraftSequence: reservation.lastAircraftSequence + 1,
        loadToken: reservation.loadToken ?? undefined,
        detail:
          one.kind === 'failed'
            ? { cause: 'motor_failure', aboard: one.aboard, coming_home: one.comingHome }
            : {},
      });
      return judgement.verdict === 'recorded' ? judgement.transition : null;
    }
  }
}

describe('a reservation through anything', () => {
  test('keeps its invariants, whatever happens in whatever order', () => {
    fc.assert(
      fc.property(flightPrefix, fc.array(happening, { maxLength: 25 }), (prefix, rest) => {
        let flight = heldFlight();
        const told: NewMilestone[] = [];
        for (const one of [...prefix, ...rest]) {
          const before = flight;
          const transition = happen(flight, one);
          if (!transition) continue;
          flight = apply(flight, transition);
          told.push(...(transition.milestones ?? []));
          const { reservation, drone } = flight;
          const where = JSON.stringify({ one, state: reservation.state, loading: reservation.loading });

          if (reservation.loading !== before.reservation.loading)
            expect(LOADING_STEPS[before.reservation.loading], where).toContain(reservation.loading);
          if (!isOpen(before.reservation)) expect(reservation.state, where).toBe(before.reservation.state);
          if (before.reservation.state === 'committed')
            expect(['committed', 'ended'], where).toContain(reservation.state);
          // A package never rides under a reservation that is over, nor without a load token.
          if (reservation.aboard) {
            expect(reservation.state, where).toBe('committed');
            expect(reservation.loading, where).toBe('loaded');
            expect(reservation.loadToken, where).not.toBeNull();
          }
          expect(reservation.endedAt !== null, where).toBe(!isOpen(reservation));
          // A drone that is free has no open reservation; one that flies has.
          if (isOpen(reservation))
            expect(['idle', 'charging', 'maintenance'], where).not.toContain(drone.state);
          else expect(['held', 'committed', 'returning'], where).not.toContain(drone.state);
          if (reservation.state === 'committed') expect(reservation.missionVersion, where).toBeGreaterThan(0);
          // What is over can never be loaded under.
          if (!isOpen(reservation)) expect(['barred', 'loaded'], where).toContain(reservation.loading);
        }
        // Once it was told that it had failed empty, or had released, the workflow hears of no loading.
        const signalled = told.filter((one) => one.signalled);
        const over = signalled.findIndex(
          (one) => one.kind === 'released' || (one.kind === 'failed' && one.detail['aboard'] === false),
        );
        if (over >= 0) expect(signalled.slice(over + 1).map((one) => one.kind)).toEqual([]);
      }),
      { numRuns: 1_000 },
    );
  });

  test('decides the pickup race once: after a recall no token, after a token no recall but the aircraft’s word', () => {
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 30 }), fc.integer({ min: 2, max: 4 }), (rest, reached) => {
        const start: Happening[] = [
          { what: 'dispatch' },
          { what: 'tell', kind: 'took_off' },
          { what: 'tell', kind: 'arrived_at_pickup' },
          { what: 'load' },
        ];
        let flight = heldFlight();
        let isRecalled = false;
        for (const one of [...start.slice(0, reached), ...rest]) {
          const { reservation } = flight;
          const asked = { droneId: reservation.droneId, reservationToken: reservation.token };
          if (isRecalled) expect(requestLoadToken(flight, asked, 'ldt_2').outcome).toBe('refused');
          const transition = happen(flight, one);
          if (transition) flight = apply(flight, transition);
          const answer = recall(flight, NOW).outcome;
          if (isRecalled) expect(answer).toBe('recalled');
          if (one.what === 'recall') isRecalled = answer === 'recalled';
        }
      }),
      { numRuns: 700 },
    );
  });

  test('only grants the drone and token it was made for, and only at the pickup', () => {
    const committed = apply(heldFlight(), happen(heldFlight(), { what: 'dispatch' })!);
    const { reservation } = committed;
    const there: Flight = { ...committed, reservation: { ...reservation, phase: 'at_pickup' } };
    const asked = { droneId: reservation.droneId, reservationToken: 1 };
    expect(requestLoadToken(committed, asked, 't')).toEqual({ outcome: 'refused', reason: 'not_at_pickup' });
    const stale = { outcome: 'refused', reason: 'stale_reservation' };
    expect(requestLoadToken(there, { ...asked, reservationToken: 2 }, 't')).toEqual(stale);
    expect(requestLoadToken(there, { ...asked, droneId: newId('drone') }, 't')).toEqual(stale);
    expect(requestLoadToken(there, asked, 't')).toMatchObject({ outcome: 'granted', loadToken: 't' });
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Problem } from '../../../shared/errors.ts';
import {
  canTransition,
  DELIVERY_STATUSES,
  isBeforePickup,
  isFinal,
  type NewDeliveryEvent,
  TRANSITIONS,
} from '../contract/index.ts';
import { advance, createdEvent, type DeliveryState, openInterventions } from '../domain/timeline.ts';
import { deliveryView, isImminent, partsOf } from '../domain/view.ts';
import { aCreation, CREATED_AT, toStatus } from './support.ts';

const NOW = '2026-03-01T12:30:00.000Z';
const begin = (): DeliveryState => createdEvent(aCreation(), CREATED_AT).state;
const anyStatus = fc.constantFrom(...DELIVERY_STATUSES);
const refusal = (work: () => unknown): Problem => {
  try {
    work();
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('it was not refused');
};

describe('the state machine', () => {
  it('reaches every status from created', () => {
    const reached = new Set(['created']);
    for (const status of reached)
      for (const next of TRANSITIONS[status as keyof typeof TRANSITIONS]) reached.add(next);
    expect([...reached].sort()).toEqual([...DELIVERY_STATUSES].sort());
  });

  it('ends from wherever it is: a final status can be reached, and nothing leaves it', () => {
    for (const status of DELIVERY_STATUSES) {
      const reached = new Set([status]);
      for (const one of reached) for (const next of TRANSITIONS[one]) reached.add(next);
      expect([...reached].some(isFinal)).toBe(true);
    }
    expect(DELIVERY_STATUSES.filter(isFinal)).toEqual(['delivered', 'returned', 'cancelled', 'failed']);
  });

  it('can be cancelled exactly before the pickup, and never goes back there once the package is aboard', () => {
    for (const from of DELIVERY_STATUSES) {
      expect(canTransition(from, 'cancelled')).toBe(isBeforePickup(from));
      if (!isBeforePickup(from)) expect(TRANSITIONS[from].some(isBeforePickup)).toBe(false);
    }
  });

  it('never stays: a status does not follow itself', () => {
    for (const status of DELIVERY_STATUSES) expect(canTransition(status, status)).toBe(false);
  });
});

describe('a timeline', () => {
  it('accepts exactly the walks that the state machine allows, numbered without a gap', () => {
    fc.assert(
      fc.property(fc.array(anyStatus, { minLength: 1, maxLength: 12 }), (walk) => {
        const legal = walk.every((status, index) => canTransition(walk[index - 1] ?? 'created', status));
        const events = walk.map((status) => toStatus(status));
        if (!legal) {
          expect(refusal(() => advance(begin(), events, NOW)).reason).toBe('illegal_transition');
          return;
        }
        const numbered = advance(begin(), events, NOW);
        expect(numbered.map((one) => one.sequence)).toEqual(walk.map((_, index) => index + 2));
        expect(numbered.map((one) => one.state.status)).toEqual(walk);
      }),
      { numRuns: 500 },
    );
  });

  it('is the same in one append or in many', () => {
    // Walks that are legal by construction: each choice picks among the successors.
    const walk = fc.array(fc.nat(), { minLength: 1, maxLength: 12 }).map((choices) => {
      const events: NewDeliveryEvent[] = [];
      let at = begin().status;
      for (const choice of choices) {
        const next = TRANSITIONS[at][choice % Math.max(1, TRANSITIONS[at].length)];
        if (next === undefined) break;
        events.push(toStatus(next, { patch: { attempt: choice % 5, delayed: choice % 2 === 0 } }));
        at = next;
      }
      return events;
    });
    fc.assert(
      fc.property(walk, fc.nat({ max: 11 }), (events, cut) => {
        const whole = advance(begin(), events, NOW).at(-1)?.state;
        const first = advance(begin(), events.slice(0, cut), NOW);
        const rest = advance(first.at(-1)?.state ?? begin(), events.slice(cut), NOW);
        expect((rest.at(-1) ?? first.at(-1))?.state).toEqual(whole);
      }),
    );
  });

  it('names from and to when it refuses', () => {
    const { status, detail } = refusal(() => advance(begin(), [toStatus('delivered')], NOW));
    expect(status).toBe(409);
    expect(detail).toContain('from created to delivered');
  });

  it('changes only what a patch names', () => {
    const eta = { status: 'confirmed', pickup_at: '2026-03-01T14:00:00+01:00', dropoff_at: null } as const;
    const [{ state } = { state: begin() }] = advance(
      begin(),
      [toStatus('confirmed', { patch: { eta, attempt: 1 } })],
      NOW,
    );
    expect(state).toEqual({
      ...begin(),
      status: 'confirmed',
      sequence: 2,
      attempt: 1,
      eta: { ...eta, pickup_at: '2026-03-01T13:00:00.000Z' },
      updated_at: NOW,
    });
  });

  it('is ended when the status is final, complete when nothing follows', () => {
    const cancelled = toStatus('cancelled', { patch: { compensation: 'pending' } });
    const [ended] = advance(begin(), [cancelled], NOW);
    expect(ended?.state).toMatchObject({ ended_at: cancelled.occurred_at, complete: false });
    const settled = {
      type: 'delivery.compensation_complete',
      occurred_at: NOW,
      patch: { compensation: 'complete', complete: true },
    } as const;
    expect(advance(ended!.state, [settled], NOW)[0]?.state).toMatchObject({
      complete: true,
      ended_at: cancelled.occurred_at,
    });
  });

  it('has no status and no second end after its end, only notes', () => {
    const end = toStatus('cancelled', { patch: { compensation: 'complete', complete: true } });
    const [ended] = advance(begin(), [end], NOW);
    const again = { type: 'delivery.compensation_complete', occurred_at: NOW, patch: { complete: true } };
    for (const event of [end, toStatus('failed'), again])
      expect(refusal(() => advance(ended!.state, [event], NOW)).reason).toBe('already_complete');
    const note = { type: 'delivery.compensated', occurred_at: NOW };
    expect(advance(ended!.state, [note], NOW)[0]?.state).toMatchObject({ sequence: 3, complete: true });
  });

  it('cannot be complete before it is settled', () => {
    const early = toStatus('confirmed', { patch: { complete: true } });
    expect(refusal(() => advance(begin(), [early], NOW)).reason).toBe('not_complete');
    const compensating = toStatus('cancelled', { patch: { complete: true, compensation: 'pending' } });
    expect(refusal(() => advance(begin(), [compensating], NOW)).reason).toBe('not_complete');
  });

  it('opens interventions and settles them with who and why', () => {
    const opened = advance(
      begin(),
      [
        {
          type: 'delivery.intervention_opened',
          occurred_at: NOW,
          open_intervention: {
            id: 'int_1',
            kind: 'compensation:void_authorization',
            reason: 'account is down',
            answers: [{ answer: 'retry', effect: 'Tries again.' }],
          },
        },
      ],
      NOW,
    )[0]!.state;
    expect(openInterventions(opened)).toBe(1);
    const resolve = {
      type: 'delivery.intervention_resolved',
      occurred_at: NOW,
      resolve_intervention: { id: 'int_1', answer: 'retry', by: 'operator', why: 'it is back' },
    };
    const settled = advance(opened, [resolve], NOW)[0]!.state;
    expect(openInterventions(settled)).toBe(0);
    expect(settled.interventions[0]).toMatchObject({
      resolved_at: NOW,
      resolution: { answer: 'retry', by: 'operator', why: 'it is back' },
    });
    expect(refusal(() => advance(settled, [resolve], NOW)).reason).toBe('intervention_not_open');
  });

  it('leaves no intervention open at its end: each is closed by an event that says why, before the end', () => {
    const question = (id: string, kind: string): NewDeliveryEvent => ({
      type: 'delivery.intervention_opened',
      occurred_at: NOW,
      open_intervention: { id, kind, reason: 'nobody knows', answers: [] },
    });
    const opened = advance(
      begin(),
      [question('int_1', 'overdue'), question('int_2', 'compensation:void_packages'), toStatus('failed')],
      NOW,
    ).at(-1)!.state;
    const end = {
      type: 'delivery.compensation_complete',
      occurred_at: NOW,
      patch: { compensation: 'complete', complete: true },
      resolve_intervention: { id: 'int_2', answer: 'done', by: 'operator:jo', why: 'by hand' },
    } as const;
    const events = advance(opened, [end], NOW);
    expect(events.map(({ type }) => type)).toEqual([
      'delivery.intervention_resolved',
      'delivery.compensation_complete',
    ]);
    expect(events.map(({ sequence }) => sequence)).toEqual([opened.sequence + 1, opened.sequence + 2]);
    const closed = { answer: 'ended', by: 'system', why: 'the delivery is complete' };
    expect(events[0]!.data).toEqual({ kind: 'overdue', ...closed });
    const { state } = events.at(-1)!;
    expect(openInterventions(state)).toBe(0);
    expect(state.interventions.map(({ resolution }) => resolution)).toEqual([
      closed,
      { answer: 'done', by: 'operator:jo', why: 'by hand' },
    ]);
    expect(state.complete).toBe(true);
  });
});

describe('the view of a delivery', () => {
  it('is put together from its parts without a loss, and its personal data are apart from the rest', () => {
    const creation = aCreation();
    const { eta: _eta, ...requested } = creation;
    const { identity, impersonal, personal } = partsOf(requested);
    expect(JSON.stringify([identity, impersonal])).not.toMatch(/Sender|Rita|4711|example\.com|Ring/);
    const view = deliveryView(identity, impersonal, personal, begin(), Date.parse(NOW));
    expect(view).toMatchObject(creation);
    const erased = deliveryView(identity, impersonal, null, begin(), Date.parse(NOW));
    expect(JSON.stringify(erased)).not.toMatch(/Sender|Rita|4711/);
    expect(erased.pickup).toEqual({ location: creation.pickup.location });
  });

  it.each([
    ['enroute_to_dropoff', 60_000, true],
    ['enroute_to_dropoff', 60_001, false],
    ['enroute_to_dropoff', -5_000, true],
    ['arrived_at_dropoff', 0, true],
    ['arrived_at_pickup', 30_000, false],
    ['delivered', 30_000, false],
  ] as const)('%s with %i ms to the dropoff is imminent: %s', (status, msLeft, imminent) => {
    const now = Date.parse(NOW);
    const eta = {
      status: 'confirmed',
      pickup_at: null,
      dropoff_at: new Date(now + msLeft).toISOString(),
    } as const;
    expect(isImminent(status, eta, now)).toBe(imminent);
    expect(isImminent(status, { ...eta, dropoff_at: null }, now)).toBe(false);
  });
});

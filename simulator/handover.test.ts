import { describe, expect, it } from 'vitest';
import { inflateSync } from 'node:zlib';
import type { Mission } from '../services/drone/contract/index.ts';
import {
  advance,
  type Aircraft,
  type ArmedFault,
  hearLoadAnswer,
  hearMission,
  nextEventAtMs,
  observe,
  unsaidFacts,
  wakeAircraft,
} from './aircraft.ts';
import { simulatedPhoto, simulatedSignature } from './pictures.ts';
import { base, drone, missionFor, model, parked, revised, START_MS } from './test/missions.ts';

const orders = (mission: Mission) => ({ mission, told: [] });
const kindsOf = (aircraft: Aircraft) =>
  aircraft.outbox.map((message) => (message.kind === 'milestone' ? message.body.kind : message.kind));

/** Lets things happen until the aircraft is at the dropoff, or does nothing more by itself. */
function flyOn(aircraft: Aircraft, isThere: (aircraft: Aircraft) => boolean): Aircraft {
  let current = aircraft;
  for (let atMs = nextEventAtMs(current); atMs !== null && !isThere(current); atMs = nextEventAtMs(current)) {
    current = advance(current, atMs);
    if (current.activity.kind === 'awaiting_load_token') {
      const id = current.mission?.reservation_id;
      if (!id) throw new Error('no mission');
      current = hearLoadAnswer(current, { outcome: 'granted', load_token: 'lt' }, id, atMs);
    }
  }
  return current;
}

function atDropoff(confirmation: Mission['confirmation'], faults: ArmedFault[] = []) {
  const start = parked();
  const mission = missionFor(start, { pickupM: 2_000, dropoffM: 5_000 }, { confirmation });
  const flying = hearMission(start, orders(mission), START_MS, () => faults);
  const aircraft = flyOn(flying, ({ activity }) =>
    ['awaiting_confirmation', 'releasing'].includes(activity.kind),
  );
  return { aircraft, mission, atMs: aircraft.since.atMs };
}
const home = (aircraft: Aircraft) => flyOn(aircraft, ({ activity }) => activity.kind === 'parked');

describe('an aircraft at the dropoff', () => {
  it.each(['pin', 'signature', 'barcode'] as const)(
    'that is to wait for a %s hovers with the package until it is told to lower it',
    (confirmation) => {
      const { aircraft, mission, atMs } = atDropoff(confirmation);
      expect(aircraft.activity).toMatchObject({ kind: 'awaiting_confirmation', absent: false });
      const later = advance(aircraft, atMs + 60_000);
      expect(observe(later, atMs + 60_000)).toMatchObject({ flightMode: 'hover', altitudeM: 8 });
      expect(observe(later, atMs + 60_000).batteryWh).toBeLessThan(observe(aircraft, atMs).batteryWh);
      const told = hearMission(later, orders(revised(mission, 'lower')), atMs + 60_000);
      expect(told.activity.kind).toBe('releasing');
      const landed = home(told);
      expect(kindsOf(landed).slice(-3)).toEqual(['arrived_at_dropoff', 'released', 'landed']);
      expect(landed.payloadKg).toBe(0);
    },
  );

  it('that hears nothing brings the package back when it has hovered long enough', () => {
    const { aircraft, mission, atMs } = atDropoff('pin');
    expect(nextEventAtMs(aircraft)).toBe(atMs + mission.dropoff_hover_s * 1000);
    const landed = home(aircraft);
    expect(kindsOf(landed).slice(-4)).toEqual(['turned_back', 'arrived_at_return', 'released', 'landed']);
    // Too late: it is on its way.
    const back = flyOn(aircraft, ({ activity }) => activity.kind === 'flying');
    const late = hearMission(back, orders(revised(mission, 'lower')), back.since.atMs + 1_000);
    expect(late.activity).toEqual(back.activity);
  });

  it('that is told to come back does, also while it waits', () => {
    const { aircraft, mission, atMs } = atDropoff('pin');
    const told = hearMission(aircraft, orders(revised(mission, 'return')), atMs + 5_000);
    expect(told.activity).toMatchObject({ kind: 'flying', leg: 'to_return' });
  });

  it('that lowers it may yet find that it cannot', () => {
    const blocked: ArmedFault = {
      id: 'b',
      failure: 'dropoff_blocked',
      stage: 'at_dropoff',
      at: 0.5,
      forS: 0,
      dueMs: null,
    };
    const { aircraft, mission, atMs } = atDropoff('pin', [blocked]);
    const told = hearMission(aircraft, orders(revised(mission, 'lower')), atMs + 5_000);
    const waits = flyOn(told, ({ activity }) => activity.kind === 'blocked');
    expect(kindsOf(waits).at(-1)).toBe('dropoff_blocked');
    // Not longer than it may hover in all.
    expect(nextEventAtMs(waits)).toBe(atMs + mission.dropoff_hover_s * 1000);
  });

  it('knows where nobody will come, so that no simulated recipient does', () => {
    const absent: ArmedFault = {
      id: 'a',
      failure: 'recipient_absent',
      stage: 'at_dropoff',
      at: 0.5,
      forS: 0,
      dueMs: null,
    };
    expect(atDropoff('pin', [absent]).aircraft).toMatchObject({
      activity: { absent: true },
      happened: ['a'],
    });
    expect(atDropoff('none', [absent]).aircraft).toMatchObject({
      activity: { kind: 'releasing' },
      happened: [],
    });
  });

  it('that is restarted while it waits goes on waiting, or lowers it when it was told so meanwhile', () => {
    const { aircraft, mission, atMs } = atDropoff('pin');
    const told = aircraft.outbox.flatMap((one) => (one.kind === 'milestone' ? [one.body] : []));
    const woken = (now: Mission) =>
      hearMission(
        wakeAircraft(
          drone({
            id: aircraft.id,
            state: 'committed',
            position: mission.dropoff,
            altitude_m: 8,
            battery: 0.8,
          }),
          model,
          base,
          atMs + 9_000,
        ),
        { mission: now, told },
        atMs + 9_000,
      );
    expect(woken(mission)).toMatchObject({
      activity: { kind: 'awaiting_confirmation' },
      payloadKg: mission.payload_kg,
    });
    expect(woken(revised(mission, 'lower')).activity.kind).toBe('releasing');
    expect(woken(revised(mission, 'return')).activity).toMatchObject({ kind: 'flying', leg: 'to_return' });
  });

  it('takes a photo where one is asked for, and hands it in before it tells of the release', () => {
    const { aircraft, mission } = atDropoff('photo');
    expect(aircraft.activity.kind).toBe('releasing');
    const landed = home(aircraft);
    expect(kindsOf(landed).slice(-4)).toEqual(['arrived_at_dropoff', 'photo', 'released', 'landed']);
    const [photo] = landed.outbox.filter((one) => one.kind === 'photo');
    expect(photo?.body).toMatchObject({ reservation_id: mission.reservation_id });
    expect(photo?.body.position.latitude).toBeCloseTo(mission.dropoff.latitude, 5);
    // It outlives the aircraft's computer, like what it tells.
    expect(unsaidFacts(landed).map((one) => one.kind)).toContain('photo');
  });
});

describe('a simulated picture', () => {
  it('is a PNG, the same for the same name', () => {
    for (const draw of [simulatedPhoto, simulatedSignature]) {
      const bytes = Buffer.from(draw('one').data, 'base64');
      expect(bytes.subarray(1, 4).toString()).toBe('PNG');
      const length = bytes.readUInt32BE(33);
      expect(inflateSync(bytes.subarray(41, 41 + length))).toHaveLength(24 * 33);
      expect(draw('one')).toEqual(draw('one'));
      expect(draw('one')).not.toEqual(draw('two'));
    }
  });
});

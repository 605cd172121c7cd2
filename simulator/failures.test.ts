import { describe, expect, it } from 'vitest';
import { Failures } from './failures.ts';
import { missionFor, parked, START_MS } from './test/missions.ts';

const ROUTE = { pickupM: 1_000, dropoffM: 2_000 };
const NONE = {
  motor_failure: 0,
  crash: 0,
  lost_link: 0,
  sender_absent: 0,
  dropoff_blocked: 0,
  recipient_absent: 0,
};

describe('failures by chance', () => {
  const aircraft = parked();
  const missions = Array.from({ length: 400 }, () => missionFor(aircraft, ROUTE));
  const drawn = (seed: string, chance: number) => {
    const failures = new Failures({ seed, chances: { ...NONE, lost_link: chance } });
    return missions.map((mission) => failures.faultsFor(aircraft, mission));
  };

  it('are as frequent as they are likely', () => {
    expect(drawn('a', 0).flat()).toEqual([]);
    expect(drawn('a', 1).flat()).toHaveLength(400);
    const struck = drawn('a', 0.25).flat().length;
    // Six standard deviations round 100.
    expect(struck).toBeGreaterThan(48);
    expect(struck).toBeLessThan(152);
  });

  it('are the same again for the same seed, and others for another', () => {
    expect(drawn('a', 0.25)).toEqual(drawn('a', 0.25));
    expect(drawn('a', 0.25)).not.toEqual(drawn('b', 0.25));
  });
});

describe('an ordered failure', () => {
  it('strikes one mission of its delivery, whichever drone flies it', () => {
    const failures = new Failures({ seed: '1', chances: NONE });
    const [first, replacement] = [parked(), parked()];
    const mission = missionFor(first, ROUTE);
    failures.order({ delivery_id: mission.delivery_id, failure: 'motor_failure' }, START_MS);
    expect(failures.faultsFor(first, missionFor(first, ROUTE))).toEqual([]);
    expect(failures.faultsFor(first, mission)).toMatchObject([
      { failure: 'motor_failure', stage: 'to_pickup', at: 0.5 },
    ]);
    const again = missionFor(replacement, ROUTE, { delivery_id: mission.delivery_id });
    expect(failures.faultsFor(replacement, again)).toEqual([]);
  });

  it('has happened when an aircraft says so', () => {
    const failures = new Failures({ seed: '1', chances: NONE });
    const aircraft = parked();
    const { id } = failures.order({ next: true, failure: 'sender_absent' }, START_MS);
    const states = (happened: string[]) =>
      failures.list([{ ...aircraft, happened }]).map((command) => command.state);
    expect(states([])).toEqual(['armed']);
    failures.faultsFor(aircraft, missionFor(aircraft, ROUTE));
    expect(states([])).toEqual(['assigned']);
    expect(states([id])).toEqual(['happened']);
  });
});

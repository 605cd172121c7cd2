import { describe, expect, it } from 'vitest';
import type { ToldReset } from '../../activities/reset.ts';
import type { DeliveryStatus } from '../../services/delivery/contract/status.ts';
import type { DroneId } from '../../shared/ids.ts';
import { Past, type Reached } from './past.ts';

const DRONE = 'drn_now' as DroneId;
const EARLIER = 'drn_before' as DroneId;
const past = (
  status: DeliveryStatus,
  reserves: number,
  { isByCarrier = false, drone_id = DRONE }: { isByCarrier?: boolean; drone_id?: DroneId | null } = {},
) =>
  new Past({
    delivery: { status, drone_id },
    reserved: reserves === 0 ? {} : { [`del_1/reserve/${reserves}`]: '2026-03-01T12:00:00.000Z' },
    isByCarrier,
    resolved: [],
  } as unknown as ToldReset);
const BY_CARRIER = { isByCarrier: true, drone_id: null };

describe('a run that was reset is behind its delivery', () => {
  it.each<[string, Past, Reached]>([
    [
      'before it has a drone',
      past('enroute_to_pickup', 1),
      { status: 'created', droneId: null, reserves: 0 },
    ],
    [
      'while it waits for the one that the delivery has',
      past('enroute_to_pickup', 2),
      { status: 'awaiting_drone', droneId: null, reserves: 1 },
    ],
    [
      'with a drone that was replaced',
      past('enroute_to_pickup', 2),
      { status: 'enroute_to_pickup', droneId: EARLIER, reserves: 1 },
    ],
    [
      'with the same drone on a flight before',
      past('enroute_to_pickup', 3),
      { status: 'enroute_to_pickup', droneId: DRONE, reserves: 1 },
    ],
    [
      'while it takes the one that takes the package over',
      past('enroute_to_dropoff', 2),
      { status: 'enroute_to_dropoff', droneId: null, reserves: 2 },
    ],
    [
      'until its drone has loaded',
      past('enroute_to_dropoff', 1),
      { status: 'arrived_at_pickup', droneId: DRONE, reserves: 1 },
    ],
    [
      'with a drone that failed, after which none was free',
      past('awaiting_drone', 1, { drone_id: null }),
      { status: 'confirmed', droneId: EARLIER, reserves: 1 },
    ],
    [
      'until its carrier is as far',
      past('enroute_to_pickup', 0, BY_CARRIER),
      { status: 'confirmed', droneId: null, reserves: 0 },
    ],
  ])('%s', (_, one, reached) => expect(one.isBehind(reached)).toBe(true));
});

describe('a run that was reset is where its delivery was', () => {
  it.each<[string, Past, Reached]>([
    [
      'at once, when nothing had happened',
      past('created', 0, { drone_id: null }),
      { status: 'created', droneId: null, reserves: 0 },
    ],
    [
      'when it waits for the window',
      past('scheduled', 1, { drone_id: null }),
      { status: 'scheduled', droneId: null, reserves: 0 },
    ],
    [
      'when it waits for a drone',
      past('awaiting_drone', 0, { drone_id: null }),
      { status: 'awaiting_drone', droneId: null, reserves: 1 },
    ],
    [
      'with the same drone at the same place',
      past('enroute_to_pickup', 2),
      { status: 'enroute_to_pickup', droneId: DRONE, reserves: 2 },
    ],
    [
      'when it is farther',
      past('enroute_to_pickup', 1),
      { status: 'picked_up', droneId: DRONE, reserves: 1 },
    ],
    ['when it has ended', past('confirmed', 1), { status: 'failed', droneId: DRONE, reserves: 1 }],
    [
      'with the carrier, whatever drones were asked for',
      past('confirmed', 0, BY_CARRIER),
      { status: 'confirmed', droneId: null, reserves: 1 },
    ],
  ])('%s', (_, one, reached) => expect(one.isBehind(reached)).toBe(false));

  it('with a drone that nobody had reserved for it before', () => {
    expect(past('arrived_at_pickup', 1).isNewFlight(2)).toBe(true);
    expect(past('arrived_at_pickup', 2).isNewFlight(2)).toBe(false);
  });

  it('in the line for a drone, when it had one before', () => {
    expect(past('confirmed', 1).hasLostItsDrone).toBe(true);
    expect(past('awaiting_drone', 1, { drone_id: null }).hasLostItsDrone).toBe(false);
  });
});

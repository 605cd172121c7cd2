import { describe, expect, it } from 'vitest';
import type { DeliveryEvent, DeliveryStatus } from '../services/delivery/contract/index.ts';
import { type DroneId, newId } from '../shared/ids.ts';
import { toldBy } from './told-by-timeline.ts';

const [first, second]: DroneId[] = [newId('drone'), newId('drone')];
const BY = { by: 'operator:jo', why: 'it hums' };

function timeline(
  ...events: [type: string, status: DeliveryStatus, data?: DeliveryEvent['data']][]
): Parameters<typeof toldBy>[0] {
  return events.map(([type, status, data = {}], index) => ({
    sequence: index + 1,
    type: `delivery.${type}`,
    status,
    occurred_at: new Date(index * 1_000).toISOString(),
    data,
  }));
}

describe('the drones of a delivery that was reset', () => {
  it.each([
    { what: 'failed', data: { failed_drone_id: first }, failed: [first], reassigned: 0 },
    {
      what: 'could not be sent',
      data: { released_drone_id: first, reason: 'low_battery' },
      failed: [],
      reassigned: 0,
    },
    {
      what: 'was taken from it',
      data: { released_drone_id: first, excluded: true, ...BY },
      failed: [first],
      reassigned: 1,
    },
    {
      what: 'may be had again',
      data: { released_drone_id: first, excluded: false, ...BY },
      failed: [],
      reassigned: 1,
    },
    {
      what: 'was taken from it before that was told',
      data: { released_drone_id: first, ...BY },
      failed: [first],
      reassigned: 1,
    },
  ])('one that $what', ({ data, failed, reassigned }) => {
    const told = toldBy(timeline(['awaiting_drone', 'awaiting_drone', data]));
    expect(told.failedDrones).toEqual(failed);
    expect(told.reassignments).toBe(reassigned);
  });

  it('one that an operator wanted away, and that was given back for something else', () => {
    const told = toldBy(
      timeline(
        ['reassign_requested', 'confirmed', { drone_id: first, excluded: true, ...BY }],
        ['reassign_requested', 'confirmed', { drone_id: second, excluded: false, ...BY }],
      ),
    );
    expect(told.failedDrones).toEqual([first]);
  });
});

describe('an order that was answered pending', () => {
  const SETTLED_ALIKE = ['cancel', 'abort', 'confirm'];
  const open = (...events: Parameters<typeof timeline>) =>
    toldBy(timeline(...events)).unsettled.filter((one) => !SETTLED_ALIKE.includes(one));

  it('a drone’s replacement is open until another one is looked for, or the package is aboard', () => {
    const asked = ['reassign_requested', 'arrived_at_pickup', { drone_id: first, ...BY }] as const;
    expect(open([...asked])).toEqual(['reassignDrone']);
    expect(open([...asked], ['awaiting_drone', 'awaiting_drone'], ['confirmed', 'confirmed'])).toEqual([]);
    expect(open([...asked], ['picked_up', 'picked_up'])).toEqual([]);
    expect(open([...asked], ['cancelled', 'cancelled'])).toEqual([]);
  });

  it('another dropoff is open until it stands or is refused', () => {
    const asked = ['dropoff_change_requested', 'enroute_to_dropoff'] as const;
    expect(open([...asked])).toEqual(['changeDropoff']);
    expect(open([...asked], ['dropoff_changed', 'enroute_to_dropoff'])).toEqual([]);
    expect(open([...asked], ['dropoff_change_refused', 'enroute_to_dropoff'])).toEqual([]);
    expect(open([...asked], ['dropoff_changed', 'enroute_to_dropoff'], [...asked])).toEqual([
      'changeDropoff',
    ]);
    expect(open([...asked], ['failed', 'failed'])).toEqual([]);
  });
});

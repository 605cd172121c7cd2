import { expect, test } from 'vitest';
import type { Drone } from '../../services/drone/contract/index.ts';
import { newId } from '../../shared/ids.ts';
import type { PublicApi } from '../e2e/traffic.ts';
import { Crew } from './crew.ts';
import type { SeenAircraft } from './witnesses.ts';

const DRONE = newId('drone');
const DELIVERY = newId('delivery');
const WRECK = { latitude: 47.6, longitude: -122.3 };

interface Scene {
  state: Drone['state'];
  aircraft?: Partial<SeenAircraft>;
  hasReservation?: boolean;
  isAboard?: boolean;
  takesOut?: boolean;
}

/** What was said of one drone that is down. */
async function said({ state, aircraft, hasReservation = true, isAboard = false, takesOut = false }: Scene) {
  const bodies: object[] = [];
  const drone = { id: DRONE, state, delivery_id: hasReservation ? DELIVERY : null } as Drone;
  const operator: Pick<PublicApi, 'listFleet' | 'setDroneState'> = {
    listFleet: async () => ({ data: [drone], next_cursor: null }),
    setDroneState: async ({ body }) => {
      bodies.push(body);
      return drone;
    },
  };
  const crew = new Crew({
    operator,
    aircraft: () =>
      aircraft && ({ activity: 'down', unsaid: 0, position: WRECK, ...aircraft } as SeenAircraft),
    isAboard: () => isAboard,
    takesOut: () => takesOut,
  });
  await crew.look((error) => expect.unreachable(String(error)));
  return { bodies, hasFetched: crew.hasFetched(DELIVERY), fetched: crew.fetched };
}

const reason = 'Fetched and mended';
const flies = { state: 'idle', reason };

test('Who is down, and has said all, is fetched with what is in it', async () => {
  expect(await said({ state: 'grounded', aircraft: {}, isAboard: true })).toEqual({
    bodies: [{ state: 'maintenance', reason, package_aboard: true }, flies],
    hasFetched: true,
    fetched: 1,
  });
});

test('A package that is taken out is left where the drone is, for another one', async () => {
  const { bodies, hasFetched } = await said({
    state: 'grounded',
    aircraft: {},
    isAboard: true,
    takesOut: true,
  });
  expect(bodies).toEqual([{ state: 'maintenance', reason, package_aboard: true, package_at: WRECK }, flies]);
  expect(hasFetched).toBe(false);
});

test.each([
  ['flies in silence', { state: 'lost', aircraft: { activity: 'flying to_dropoff' } }],
  ['stands at its base in silence', { state: 'lost', aircraft: { activity: 'parked' } }],
  ['is coming down', { state: 'grounded', aircraft: { activity: 'emergency_landing' } }],
  ['has yet to say something', { state: 'grounded', aircraft: { unsaid: 1 } }],
  ['nobody sees', { state: 'grounded' }],
] as const)('Who %s is not fetched', async (_, scene) => {
  expect(await said(scene)).toEqual({ bodies: [], hasFetched: false, fetched: 0 });
});

test('Who was fetched, and of whom nobody has heard that he flies again, is said to', async () => {
  const { bodies } = await said({ state: 'maintenance', hasReservation: false });
  expect(bodies).toEqual([{ state: 'maintenance', reason }, flies]);
});

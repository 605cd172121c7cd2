// What an intervention names is what is left, and all of it.
import { expect, test } from 'vitest';
import { type Left, unnamed } from './naming.ts';

const RESERVE = 'del_1/reserve/1';
const AUTHORIZE = 'del_1/authorize/1';
type Called = Left['calls'][number];

const called = (
  activity: Called['activity'],
  key: string,
  refersTo: string | null = null,
  how: Partial<Called> = {},
): Called => ({ activity, key, refersTo, acted: true, result: 'ok', ...how });

const LEFT: Left = {
  open: [
    { kind: 'compensation:release_drone/1', reason: `A drone may still be held. It is step ${RESERVE}.` },
  ],
  held: [{ kind: 'reservation', stepKey: RESERVE }],
  reroutes: [],
  calls: [called('reserveDrone', RESERVE), called('dispatchDrone', 'del_1/dispatch/1', RESERVE)],
  isOver: true,
};
const NAMED_IN_VAIN = [`${RESERVE} is named and not held`];

interface Naming {
  name: string;
  left: Partial<Left>;
  says: string[];
}
const NAMINGS: Naming[] = [
  { name: 'what is held is named', left: {}, says: [] },
  {
    name: 'something is held, and not named',
    left: { held: [...LEFT.held, { kind: 'packages', stepKey: 'del_1/register/1' }] },
    says: ['packages del_1/register/1 is not named'],
  },
  {
    name: 'the same on the way, when it is needed',
    left: { held: [...LEFT.held, { kind: 'packages', stepKey: 'del_1/register/1' }], isOver: false },
    says: [],
  },
  { name: 'nothing is held: going on with a step undoes nothing', left: { held: [] }, says: NAMED_IN_VAIN },
  { name: 'the same on the way', left: { held: [], isOver: false }, says: NAMED_IN_VAIN },
  {
    name: 'it was undone by a call whose answer was lost',
    left: {
      held: [],
      calls: [...LEFT.calls, called('releaseDrone', 'del_1/release/1', RESERVE, { result: 'failed' })],
    },
    says: [],
  },
  {
    name: 'its undoing never reached the service',
    left: {
      held: [],
      calls: [
        ...LEFT.calls,
        called('releaseDrone', 'del_1/release/1', RESERVE, { acted: false, result: 'failed' }),
      ],
    },
    says: NAMED_IN_VAIN,
  },
  {
    name: 'nobody can know that a step never acted',
    left: { held: [], calls: [called('reserveDrone', RESERVE, null, { acted: false, result: 'failed' })] },
    says: [],
  },
  {
    name: 'nor that its repetition has taken its place, when the answer to that was lost',
    left: {
      held: [],
      calls: [...LEFT.calls, called('reserveDrone', 'del_1/reserve/2', null, { result: 'failed' })],
    },
    says: [],
  },
  {
    name: 'its repetition was answered: it is known to have taken its place',
    left: { held: [], calls: [...LEFT.calls, called('reserveDrone', 'del_1/reserve/2')] },
    says: NAMED_IN_VAIN,
  },
  {
    name: 'a change of the dropoff stands, and holds nothing',
    left: {
      open: [{ kind: 'compensation:undo_reroute/1', reason: 'It is step del_1/reroute/1.' }],
      reroutes: ['del_1/reroute/1'],
      calls: [called('rerouteDrone', 'del_1/reroute/1', RESERVE)],
      isOver: false,
    },
    says: [],
  },
  ...(['capture_charge', 'void_authorization'] as const).map((kind): Naming => ({
    name: `what was captured is named by ${kind}`,
    left: {
      open: [{ kind: `compensation:${kind}`, reason: `It is step ${AUTHORIZE}.` }],
      held: [],
      calls: [called('authorize', AUTHORIZE), called('capture', 'del_1/capture/1', AUTHORIZE)],
    },
    says: kind === 'capture_charge' ? [] : [`${AUTHORIZE} is named and not held`],
  })),
];

test.each(NAMINGS)('$name', ({ left, says }) => {
  expect(unnamed({ ...LEFT, ...left })).toEqual(says);
});

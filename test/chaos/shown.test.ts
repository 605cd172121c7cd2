import { expect, test } from 'vitest';
import { interventionId, type Planted } from '../checker/kept-delivery.ts';
import { replace, told } from '../checker/planting.ts';
import { sound } from '../checker/sound-history.ts';
import { describeShown, shownIn } from './shown.ts';

const timesOf = (history: Planted) => new Map(shownIn(history).map(({ what, times }) => [what, times]));

test('Each ending and order is counted by what the services keep of it', () => {
  const times = timesOf(sound());
  expect(times.get('delivered')).toBe(3);
  expect(times.get('flown back')).toBe(1);
  expect(times.get('lost, and credited')).toBe(1);
  expect(times.get('failed for want of credit')).toBe(1);
  expect(times.get('failed because its sender was absent')).toBe(1);
  expect(times.get('delivered by a carrier')).toBe(1);
  expect(times.get('confirmed by PIN')).toBe(1);
  expect(times.get('answers of people')).toBe(1);
  expect(times.get('terminated, and reconciled')).toBe(0);
});

test('A drone counts as lost by its link when the drone service says so, and not when it says so itself', () => {
  const history = sound();
  const landed = history.milestones.find(
    ({ kind, deliveryId }) => kind === 'landed' && deliveryId === 'del_3',
  )!;
  const silent = { ...landed, kind: 'failed', detail: { cause: 'link_lost', aboard: false } };
  history.milestones.push({ ...silent, byAircraft: true });
  expect(timesOf(history).get('lost by link before the pickup')).toBe(0);
  history.milestones.push({ ...silent, byAircraft: false });
  expect(timesOf(history).get('lost by link before the pickup')).toBe(1);
  expect(timesOf(history).get('barred for its silence, and heard again')).toBe(1);
  replace(
    history.events,
    ({ delivery_id, type }) => delivery_id === ('del_3' as never) && type === 'delivery.awaiting_drone',
    { data: { detail: 'the drone failed before the pickup: link_lost' } },
  );
  expect(timesOf(history).get('replaced because its link was lost')).toBe(0);
  replace(history.deliveries, ({ id }) => id === 'del_3', { attempt: 2 });
  expect(timesOf(history).get('replaced because its link was lost')).toBe(1);
});

test('A cancel in the race is one that was asked for with the drone at the pickup', () => {
  const history = sound();
  told(history, 'del_2', { kind: 'cancel', answer: 'done', askedIn: 'arrived_at_pickup' });
  told(history, 'del_1', { kind: 'cancel', answer: 'refused', reason: 'already_picked_up' });
  const times = timesOf(history);
  expect(times.get('a cancel in the pickup race')).toBe(1);
  expect(times.get('a cancel refused')).toBe(1);
});

test('Two answers at once are to one question, and one of them is refused: a refusal alone is none', () => {
  const history = sound();
  const answer = { kind: 'answer', intervention: interventionId('del_lost', 'drone_down') } as const;
  const elsewhere = { ...answer, intervention: interventionId('del_3', 'drone_down') } as const;
  told(history, 'del_3', { ...elsewhere, answer: 'refused', given: 'returned' });
  expect(timesOf(history).get('two answers at once, one of them refused')).toBe(0);
  told(
    history,
    'del_lost',
    { ...answer, answer: 'done', given: 'lost' },
    { ...answer, answer: 'refused', given: 'returned' },
  );
  expect(timesOf(history).get('two answers at once, one of them refused')).toBe(1);
});

test('It is told with how often', () => {
  expect(describeShown([{ what: 'delivered', times: 3, isCertain: true }])).toBe('3 delivered');
});

import { expect, test } from 'vitest';
import { describePlan, makePlan, type PlanOptions, REQUEST_KINDS, VICTIMS } from './plan.ts';

const OPTIONS: PlanOptions = {
  seed: '7',
  deliveries: 300,
  kills: 40,
  ratePerS: 3,
  links: ['worker>temporal', 'worker>drone', 'api>ingestion', 'delivery>postgres'],
};

test('The same seed is the same plan, another seed another one', () => {
  expect(makePlan(OPTIONS)).toEqual(makePlan(OPTIONS));
  expect(makePlan({ ...OPTIONS, seed: '8' }).acts).not.toEqual(makePlan(OPTIONS).acts);
});

test('What is posted does not depend on what is killed', () => {
  expect(makePlan({ ...OPTIONS, kills: 3, links: [] }).requests).toEqual(makePlan(OPTIONS).requests);
});

test('There are as many requests and kills as asked for, in order, at the rate asked for', () => {
  const { requests, acts } = makePlan(OPTIONS);
  expect(requests.map(({ number }) => number)).toEqual(Array.from({ length: 300 }, (_, index) => index));
  const times = requests.map(({ atMs }) => atMs);
  expect(times).toEqual(times.toSorted((a, b) => a - b));
  expect(times.at(-1)).toBeLessThan(100_000);
  expect(times.at(-1)).toBeGreaterThan(99_000);
  expect(acts.filter(({ kind }) => kind === 'kill')).toHaveLength(40);
  for (const kind of ['stop', 'cut', 'stall'])
    expect(acts.filter((one) => one.kind === kind)).toHaveLength(5);
});

test('For many seeds: every process is killed, every link is struck, every kind is posted', () => {
  for (let seed = 0; seed < 100; seed += 1) {
    const { acts, requests } = makePlan({ ...OPTIONS, seed: String(seed) });
    const killed = acts.flatMap((act) => (act.kind === 'kill' ? [act.victim] : []));
    expect(new Set(killed), `seed ${seed}`).toEqual(new Set(VICTIMS));
    const struck = acts.flatMap((act) => (act.kind === 'cut' || act.kind === 'stall' ? [act.link] : []));
    expect(new Set(struck), `seed ${seed}`).toEqual(new Set(OPTIONS.links));
    expect(requests.filter(({ kind }) => kind === 'plain').length, `seed ${seed}`).toBeGreaterThan(90);
  }
  const kinds = makePlan({ ...OPTIONS, deliveries: 5_000 }).requests.map(({ kind }) => kind);
  expect(new Set(kinds)).toEqual(new Set(Object.keys(REQUEST_KINDS)));
});

test('What is asked for while it is under way has its stage, and each stage comes up', () => {
  const { requests } = makePlan({ ...OPTIONS, deliveries: 5_000 });
  const stages = new Map<string, Set<string>>();
  for (const { kind, askedIn } of requests) {
    const known = stages.get(kind) ?? new Set();
    stages.set(kind, known);
    if (askedIn !== undefined) known.add(askedIn);
  }
  expect(stages.get('plain')).toEqual(new Set());
  expect(stages.get('rescheduled')).toEqual(new Set(['scheduled']));
  expect(stages.get('reassigned')).toEqual(new Set(['confirmed', 'enroute_to_pickup', 'arrived_at_pickup']));
  for (const kind of ['dropoff_changed', 'aborted', 'terminated']) {
    expect(stages.get(kind)?.size, kind).toBe(4);
  }
});

test('The plan is printed with its seed, every act with its time and victim', () => {
  const plan = makePlan({ ...OPTIONS, deliveries: 6, kills: 1 });
  const lines = describePlan(plan).split('\n');
  expect(lines[0]).toMatch(/^seed 7: 6 requests in 1\.\d s: /);
  expect(lines).toHaveLength(1 + plan.acts.length);
  expect(lines.some((line) => /\d s {2}kill \w+, down for \d+ ms$/.test(line))).toBe(true);
});

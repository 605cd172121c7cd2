import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { KIND_NAMES, KINDS, type RequestKind } from './kinds.ts';
import { describePlan, makePlan, type PlannedRequest, type PlanOptions, VICTIMS } from './plan.ts';

const OPTIONS: PlanOptions = {
  seed: '7',
  deliveries: 300,
  kills: 40,
  ratePerS: 3,
  links: ['worker>temporal', 'worker>drone', 'api>ingestion', 'delivery>postgres'],
};

const ofKind = (requests: readonly PlannedRequest[], kind: RequestKind) =>
  requests.filter((one) => one.kind === kind);

test('The same seed is the same plan, another seed another one', () => {
  expect(makePlan(OPTIONS)).toEqual(makePlan(OPTIONS));
  expect(makePlan({ ...OPTIONS, seed: '8' }).acts).not.toEqual(makePlan(OPTIONS).acts);
});

test('A seed is the same plan on every machine: chance is drawn from its text, and nothing else', () => {
  const { requests, acts } = makePlan(OPTIONS);
  const digest = createHash('sha256').update(JSON.stringify({ requests, acts })).digest('hex').slice(0, 16);
  // It changes when what is planned does, and then only.
  expect(digest).toBe('13cd9db1f7d1321e');
});

test('What is posted does not depend on what is killed', () => {
  expect(makePlan({ ...OPTIONS, kills: 3, links: [] }).requests).toEqual(makePlan(OPTIONS).requests);
});

test('There are as many requests and kills as asked for, in order, at the rate asked for', () => {
  const { requests, acts } = makePlan(OPTIONS);
  expect(requests.map(({ number }) => number)).toEqual(Array.from({ length: 300 }, (_, index) => index));
  for (const times of [requests.map(({ atMs }) => atMs), acts.map(({ atMs }) => atMs)]) {
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  }
  expect(requests.at(-1)?.atMs).toBeLessThan(100_000);
  expect(requests.at(-1)?.atMs).toBeGreaterThan(99_000);
  expect(acts.filter(({ kind }) => kind === 'kill')).toHaveLength(40);
  for (const kind of ['stop', 'cut', 'stall'])
    expect(acts.filter((one) => one.kind === kind)).toHaveLength(5);
});

test('For many seeds: every process is killed, every link is struck', () => {
  for (let seed = 0; seed < 100; seed += 1) {
    const { acts } = makePlan({ ...OPTIONS, seed: String(seed) });
    const killed = acts.flatMap((act) => (act.kind === 'kill' ? [act.victim] : []));
    expect(new Set(killed), `seed ${seed}`).toEqual(new Set(VICTIMS));
    const struck = acts.flatMap((act) => (act.kind === 'cut' || act.kind === 'stall' ? [act.link] : []));
    expect(new Set(struck), `seed ${seed}`).toEqual(new Set(OPTIONS.links));
  }
});

test('Of every hundred requests each kind has its share, whatever the seed', () => {
  expect(KIND_NAMES.reduce((sum, kind) => sum + KINDS[kind].ofHundred, 0)).toBe(100);
  for (let seed = 0; seed < 20; seed += 1) {
    const { requests } = makePlan({ ...OPTIONS, seed: String(seed) });
    for (let from = 0; from < requests.length; from += 100) {
      for (const kind of KIND_NAMES) {
        const hundred = ofKind(requests.slice(from, from + 100), kind);
        expect(hundred, `${kind} of seed ${seed} from ${from} on`).toHaveLength(KINDS[kind].ofHundred);
      }
    }
  }
});

test('What is asked for while it is under way has its stage, what people are asked its answer, and each comes up in its turn', () => {
  for (let seed = 0; seed < 20; seed += 1) {
    const { requests } = makePlan({ ...OPTIONS, seed: String(seed) });
    for (const kind of KIND_NAMES) {
      const { askedIn: stages = [], answers = [] } = KINDS[kind];
      const all = ofKind(requests, kind);
      const [askedIn, given] = [all.map((one) => one.askedIn), all.map(({ answer }) => answer)];
      for (const [of, due] of [
        [askedIn, stages],
        [given, answers],
      ] as const) {
        if (due.length === 0) expect(new Set(of), kind).toEqual(new Set([undefined]));
        // So many of a kind as it has stages show each of them.
        else expect(of.slice(0, due.length).toSorted(), kind).toEqual(due.toSorted());
      }
    }
  }
});

test('The plan is printed with its seed, every act with its time and victim', () => {
  const plan = makePlan({ ...OPTIONS, deliveries: 6, kills: 1 });
  const lines = describePlan(plan).split('\n');
  expect(lines[0]).toMatch(/^seed 7: 6 requests in 1\.\d s: /);
  expect(lines).toHaveLength(1 + plan.acts.length);
  expect(lines.some((line) => /\d s {2}kill \w+, down for \d+ ms$/.test(line))).toBe(true);
});

// Random walks through the state machine, legal and illegal steps mixed, against the running service in two processes: what
// it accepts, refuses, repeats and keeps is compared with a model that is nothing but the table of transitions.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Problem } from '../../../shared/errors.ts';
import { createServiceDatabase, type ServiceDatabase } from '../../../test/support/postgres.ts';
import {
  canTransition,
  DELIVERY_STATUSES,
  type DeliveryStatus,
  isFinal,
  TRANSITIONS,
} from '../contract/index.ts';
import { aCreation, type RunningDeliveryService, runningDeliveryService, toStatus } from './support.ts';

let database: ServiceDatabase;
let processes: [RunningDeliveryService, RunningDeliveryService];
beforeAll(async () => {
  database = await createServiceDatabase('delivery');
  processes = [await runningDeliveryService(database.url), await runningDeliveryService(database.url)];
});
afterAll(async () => {
  await Promise.all(processes.map((one) => one.close()));
  await database.drop();
});

/** One append: where it goes, and whether it repeats the key of an earlier one. */
interface Append {
  process: 0 | 1;
  /** Each either any status, or the so-many-th that is legal here: purely random walks would be refused almost always. */
  steps: ({ any: DeliveryStatus } | { legal: number })[];
  repeats: number | null;
}

const anyStep = fc.oneof(
  { weight: 1, arbitrary: fc.record({ any: fc.constantFrom(...DELIVERY_STATUSES) }) },
  { weight: 4, arbitrary: fc.record({ legal: fc.nat({ max: 20 }) }) },
);
const anyAppend: fc.Arbitrary<Append> = fc.record({
  process: fc.constantFrom(0 as const, 1 as const),
  steps: fc.array(anyStep, { minLength: 1, maxLength: 3 }),
  repeats: fc.option(fc.nat({ max: 20 }), { freq: 5 }),
});

interface Answer {
  first_sequence: number;
  last_sequence: number;
  status: DeliveryStatus;
}

describe('a random walk', () => {
  it('is accepted as far as the state machine allows, all of an append or nothing of it', async () => {
    const tally = { written: 0, refused: 0, repeated: 0, ended: 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(anyAppend, { minLength: 1, maxLength: 14 }), async (appends) => {
        const { id } = await processes[0].client.createDelivery({ body: aCreation() });
        const walked: DeliveryStatus[] = ['created'];
        const answered: { key: string; answer: Answer }[] = [];
        for (const [index, { process, steps, repeats }] of appends.entries()) {
          const earlier = repeats === null ? undefined : answered[repeats % Math.max(1, answered.length)];
          const wanted = statusesOf(steps, walked.at(-1) ?? 'created');
          const key = earlier?.key ?? `${id}/step/${index}`;
          const outcome = await processes[process].client
            .appendEvents(
              { params: { delivery_id: id }, body: { events: wanted.map((status) => toStatus(status)) } },
              { idempotencyKey: key },
            )
            .catch((error: unknown) => error);
          if (earlier) {
            expect(outcome).toEqual(earlier.answer);
            tally.repeated += 1;
          } else if (isLegal(walked.at(-1) ?? 'created', wanted)) {
            const answer = {
              first_sequence: walked.length + 1,
              last_sequence: walked.length + wanted.length,
              status: wanted.at(-1) ?? 'created',
            };
            expect(outcome).toEqual(answer);
            walked.push(...wanted);
            answered.push({ key, answer });
            tally.written += 1;
          } else {
            expect(outcome).toBeInstanceOf(Problem);
            expect(outcome).toMatchObject({ status: 409, reason: 'illegal_transition' });
            tally.refused += 1;
          }
        }
        if (isFinal(walked.at(-1) ?? 'created')) tally.ended += 1;
        const params = { delivery_id: id };
        for (const { client } of processes) {
          const { data } = await client.listEvents({ params, query: { limit: 200 } });
          expect(data.map((event) => event.status)).toEqual(walked);
          expect(data.map((event) => event.sequence)).toEqual(walked.map((_, index) => index + 1));
          expect(await client.getDelivery({ params })).toMatchObject({
            status: walked.at(-1),
            sequence: walked.length,
          });
        }
      }),
      { numRuns: 120 },
    );
    // A run that never refused, repeated or ended anything would prove nothing.
    for (const count of Object.values(tally)) expect(count).toBeGreaterThan(20);
  }, 60_000);

  it('of two writers at once ends in a line that the state machine allows, with every accepted append in it', async () => {
    const pair = fc.tuple(anyAppend, anyAppend);
    await fc.assert(
      fc.asyncProperty(fc.array(pair, { minLength: 1, maxLength: 6 }), async (rounds) => {
        const { id } = await processes[0].client.createDelivery({ body: aCreation() });
        const params = { delivery_id: id };
        let at: DeliveryStatus = 'created';
        let accepted = 1;
        for (const [round, both] of rounds.entries()) {
          const answers = await Promise.all(
            both.map(({ steps }, index) => {
              const events = statusesOf(steps, at).map((status) => toStatus(status));
              return processes[index as 0 | 1].client
                .appendEvents({ params, body: { events } }, { idempotencyKey: `${id}/${round}/${index}` })
                .then(() => events.length)
                .catch((error: unknown) => {
                  expect(error).toMatchObject({ reason: 'illegal_transition' });
                  return 0;
                });
            }),
          );
          accepted += answers.reduce((sum, count) => sum + count, 0);
          at = (await processes[0].client.getDelivery({ params })).status;
        }
        const { data } = await processes[1].client.listEvents({ params, query: { limit: 200 } });
        expect(data.map((event) => event.sequence)).toEqual(
          Array.from({ length: accepted }, (_, i) => i + 1),
        );
        expect(
          isLegal(
            'created',
            data.slice(1).map((event) => event.status),
          ),
        ).toBe(true);
      }),
      { numRuns: 60 },
    );
  }, 60_000);
});

function statusesOf(steps: Append['steps'], from: DeliveryStatus): DeliveryStatus[] {
  let at = from;
  return steps.map((step) => {
    const legal = TRANSITIONS[at];
    at = 'any' in step ? step.any : (legal[step.legal % Math.max(1, legal.length)] ?? 'created');
    return at;
  });
}

function isLegal(from: DeliveryStatus, walk: readonly DeliveryStatus[]): boolean {
  return walk.every((status, index) => canTransition(walk[index - 1] ?? from, status));
}

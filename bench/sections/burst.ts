/** A burst with Temporal down, then up again: all of it is taken, all of it is carried out, each exactly once. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '../../shared/http/client.ts';
import { connectTemporal } from '../../shared/temporal/client.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import { DELIVERY_WORKFLOW } from '../../workflows/messages.ts';
import { publicContract } from '../../api/contract.ts';
import { randomUUID } from 'node:crypto';
import { startCpuMeter } from '../cpu.ts';
import { plainFigure } from '../figures.ts';
import { jobs } from '../flight/jobs.ts';
import { requireNothingHeld } from '../flight/held.ts';
import { type System, withSystem } from '../system.ts';
import type { Section } from './section.ts';

const BURST = 20_000;
const IN_FLIGHT = 64;
const LOOK_EVERY_MS = 2_000;
const DRAIN_WITHIN_MS = 30 * 60_000;

export const burst: Section = ({ quick, say }) =>
  withSystem(say, async (system) => {
    const count = quick ? 500 : BURST;
    await system.stack.kill('temporal');
    say(`accepting ${count} with Temporal down`);
    const acceptedAt = performance.now();
    const accepted = await accept(system, count);
    const absorbS = (performance.now() - acceptedAt) / 1000;
    const meter = await startCpuMeter(
      { ...system.roots(), bench: process.pid },
      system.description.postgres_url,
    );
    const drainedFrom = performance.now();
    await system.stack.restart('temporal');
    await drain(system, count, say);
    const drainS = (performance.now() - drainedFrom) / 1000;
    const cpu = await meter.read();
    say('counting what became of each');
    const tally = await tallyOf(system, accepted);
    await requireNothingHeld(system);
    return {
      figures: [
        plainFigure({
          id: 'burst_absorbed',
          name: `burst of ${count}: absorbed`,
          value: count / absorbS,
          unit: '/s',
        }),
        plainFigure({
          id: 'burst_drained',
          name: `burst of ${count}: drained`,
          value: count / drainS,
          unit: '/s',
        }),
        plainFigure(
          { id: 'burst_lost', name: `burst of ${count}: lost`, value: tally.lost, unit: '' },
          { is: 'at most', value: 0 },
        ),
        plainFigure(
          { id: 'burst_doubled', name: `burst of ${count}: doubled`, value: tally.doubled, unit: '' },
          { is: 'at most', value: 0 },
        ),
      ],
      cpu: [{ of: 'draining the burst', completed: count, windowS: drainS, byRole: cpu }],
      remarks: [
        `${count} accepts while Temporal was killed took ${absorbS.toFixed(1)} s; from its restart until the last delivery was complete ${drainS.toFixed(1)} s. They are of an account without credit: each has its workflow, which asks the account service, is refused, compensates and ends.`,
        'Lost: accepted, but without a workflow, or not ended and complete in the delivery service. Doubled: more than one workflow run, or more than one delivery.',
      ],
    };
  });

async function accept({ description }: System, count: number): Promise<DeliveryId[]> {
  const key = description.accounts['tinyCredit']?.key ?? '';
  const client = createClient(publicContract, {
    baseUrl: description.api_url,
    headers: { authorization: `Bearer ${key}` },
    connections: IN_FLIGHT,
    timeoutMs: 60_000,
  });
  const nextJob = jobs();
  const accepted: DeliveryId[] = [];
  let begun = 0;
  const slot = async () => {
    while (begun < count) {
      begun += 1;
      const { id } = await client.createDelivery({ body: nextJob() }, { idempotencyKey: randomUUID() });
      accepted.push(id);
    }
  };
  try {
    await Promise.all(Array.from({ length: IN_FLIGHT }, slot));
  } finally {
    await client.close();
  }
  return accepted;
}

/** Waits until every workflow has been started and every delivery is complete. */
async function drain({ services }: System, count: number, say: (what: string) => void): Promise<void> {
  const giveUpAt = performance.now() + DRAIN_WITHIN_MS;
  for (;;) {
    const { unstarted, unprojected } = await services.ingestion.backlog({});
    const open = await services.delivery.listDeliveries({ query: { complete: false, limit: 1 } });
    if (unstarted === 0 && unprojected === 0 && open.data.length === 0) return;
    if (performance.now() > giveUpAt) throw new Error(`Not drained: ${unstarted} not started`);
    say(`draining: ${count - unstarted} of ${count} started`);
    await sleep(LOOK_EVERY_MS);
  }
}

interface Tally {
  lost: number;
  doubled: number;
}

async function tallyOf(system: System, accepted: readonly DeliveryId[]): Promise<Tally> {
  const runs = await workflowRuns(system, accepted.length);
  const ended = await endedDeliveries(system);
  const lost = accepted.filter((id) => !runs.has(id) || !ended.has(id)).length;
  const known = new Set<string>(accepted);
  const doubled =
    [...runs, ...ended].filter(([, times]) => times > 1).length +
    [...runs.keys()].filter((id) => !known.has(id)).length;
  return { lost, doubled };
}

/** Runs by workflow id, from Temporal. Its list follows its histories by a moment. */
async function workflowRuns({ description }: System, expected: number): Promise<Map<string, number>> {
  const temporal = connectTemporal({
    address: description.temporal_address,
    namespace: description.temporal_namespace,
  });
  try {
    const query = `WorkflowType = '${DELIVERY_WORKFLOW}'`;
    const giveUpAt = performance.now() + 30_000;
    while (performance.now() < giveUpAt) {
      const { count } = await temporal.client.workflow.count(query);
      if (count >= expected) break;
      await sleep(500);
    }
    const runs = new Map<string, number>();
    for await (const { workflowId } of temporal.client.workflow.list({ query, pageSize: 1000 })) {
      runs.set(workflowId, (runs.get(workflowId) ?? 0) + 1);
    }
    return runs;
  } finally {
    await temporal.close();
  }
}

/** How often each delivery that has ended, with everything undone, stands in the delivery service. */
async function endedDeliveries({ services }: System): Promise<Map<string, number>> {
  const ended = new Map<string, number>();
  let cursor: string | null | undefined;
  do {
    const page = await services.delivery.listDeliveries({
      query: { complete: true, limit: 200, ...(cursor ? { cursor } : {}) },
    });
    for (const { id, status } of page.data) {
      if (status === 'failed') ended.set(id, (ended.get(id) ?? 0) + 1);
    }
    cursor = page.next_cursor;
  } while (cursor !== null);
  return ended;
}

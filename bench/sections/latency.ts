/** One delivery at a time on an idle stack: how soon `confirmed` can be read, and what a delivery costs Temporal. */
import { setTimeout as sleep } from 'node:timers/promises';
import { connectTemporal } from '../../shared/temporal/client.ts';
import { countCost, type WorkflowCost } from '../billable-actions.ts';
import { plainFigure } from '../figures.ts';
import { startFlights } from '../flight/index.ts';
import { requireNothingHeld } from '../flight/held.ts';
import { Latencies } from '../percentiles.ts';
import { withSystem } from '../system.ts';
import type { Section } from './section.ts';

const AIM_EVENTS = 80;
const AIM_ACTIONS = 20;
const AIM_CONFIRMED_P50_MS = 300;
/** Nothing else runs, so asking often disturbs nobody and hides little. */
const POLL_EVERY_MS = 4;
const DRONES = 16;

export const latency: Section = ({ quick, say }) =>
  withSystem(say, async (system) => {
    const samples = quick ? 8 : 50;
    const warmUps = quick ? 3 : 10;
    const flights = await startFlights(system, { drones: DRONES, pollEveryMs: POLL_EVERY_MS });
    const temporal = connectTemporal({
      address: system.description.temporal_address,
      namespace: system.description.temporal_namespace,
    });
    const confirmed = new Latencies();
    const settled = new Latencies();
    const costs: WorkflowCost[] = [];
    try {
      for (let index = -warmUps; index < samples; index++) {
        say(`delivery ${index + warmUps + 1} of ${samples + warmUps}, one at a time`);
        const { deliveryId, confirmedMs, settledMs } = await flights.deliver();
        if (index < 0) continue;
        confirmed.record(confirmedMs);
        settled.record(settledMs);
        const handle = temporal.client.workflow.getHandle(deliveryId);
        // Settled is written by the workflow's last step: it ends a moment later.
        while ((await handle.describe()).status.name === 'RUNNING') await sleep(POLL_EVERY_MS);
        const { events } = await handle.fetchHistory();
        costs.push(countCost(events ?? []));
      }
      await requireNothingHeld(system);
    } finally {
      await flights.stop();
      await temporal.close();
    }
    const toConfirmed = confirmed.summary();
    const worst = costs.reduce((a, b) => (b.actions > a.actions ? b : a));
    return {
      figures: [
        plainFigure(
          {
            id: 'confirmed_p50',
            name: 'accept to `confirmed` readable, p50',
            value: toConfirmed.p50Ms,
            unit: 'ms',
          },
          { is: 'at most', value: AIM_CONFIRMED_P50_MS },
        ),
        plainFigure({
          id: 'confirmed_p95',
          name: 'accept to `confirmed` readable, p95',
          value: toConfirmed.p95Ms,
          unit: 'ms',
        }),
        plainFigure({
          id: 'settled_p50',
          name: 'accept to settled, without the time of flying, p50',
          value: settled.summary().p50Ms,
          unit: 'ms',
        }),
        plainFigure(
          { id: 'events', name: 'history events of a delivery', value: worst.events, unit: 'events' },
          { is: 'at most', value: AIM_EVENTS },
        ),
        plainFigure(
          { id: 'actions', name: 'billable actions of a delivery', value: worst.actions, unit: 'actions' },
          { is: 'at most', value: AIM_ACTIONS },
        ),
      ],
      cpu: [],
      remarks: [
        `${samples} deliveries, one after the other, after ${warmUps} that were not counted; events asked for every ${POLL_EVERY_MS} ms at most.`,
        `Counted from the histories; the dearest of the ${samples}: ${Object.entries(worst.byKind)
          .map(([kind, count]) => `${count} × ${kind}`)
          .join(', ')}; ${worst.workflowTasks} workflow tasks, ${worst.localActivities} local activities.`,
      ],
    };
  });

/** Activities of the reconciler: what a delivery without a living workflow left, and the sweep that finds such deliveries. */
import type { Client } from '@temporalio/client';
import { orWaiting, temporalCarriers } from '../audit/carriers.ts';
import { findOrphans } from '../audit/orphans.ts';
import { isSafeToRepair, repair } from '../audit/repair.ts';
import type { ingestionContract } from '../services/ingestion/contract/index.ts';
import { type Clock, isoTime } from '../shared/clock.ts';
import type { Client as ServiceClient } from '../shared/http/client.ts';
import type { DeliveryId } from '../shared/ids.ts';
import { beating } from './beating.ts';
import { callService } from './call.ts';
import { examine, type Examination } from './examination.ts';
import type { ServiceClients } from './index.ts';

/** A look back that is longer than any outage of the sweep: packages of deliveries that failed long ago were seen then. */
const SWEEP_BACK_MS = 3 * 24 * 60 * 60 * 1000;

export function reconcileActivities(options: {
  services: ServiceClients;
  /** Without it, whatever Temporal does not know is taken to wait for its start. */
  ingestion?: ServiceClient<typeof ingestionContract>;
  temporal: Client;
  taskQueue: string;
  clock: Clock;
}) {
  const { services, ingestion, temporal, taskQueue, clock } = options;
  const carriers = temporalCarriers(temporal, ingestion);
  return {
    /** `byItself`: its own workflow, which lives, looks what is left of it. */
    examineDelivery: ({
      deliveryId,
      byItself = false,
    }: {
      deliveryId: DeliveryId;
      byItself?: boolean;
    }): Promise<Examination> =>
      callService(undefined, () => examine({ services, carriers, clock }, deliveryId, byItself)),

    /** Audits all services and starts the reconciler where it is safe to. */
    sweepOrphans: (): Promise<{ orphans: number; repairing: DeliveryId[]; forAPerson: string[] }> =>
      callService(undefined, () =>
        beating(async () => {
          const endedSince = isoTime(clock.nowMs() - SWEEP_BACK_MS);
          // What ingestion starts, or has started, is nothing that is repaired here.
          const orphans = await findOrphans(services, orWaiting(carriers), { endedSince });
          const repairing = await repair(temporal, taskQueue, orphans.filter(isSafeToRepair));
          const missing = orphans.filter(({ workflow }) => workflow === 'missing');
          return {
            orphans: orphans.length,
            repairing,
            forAPerson: [...new Set(missing.map(({ deliveryId }) => deliveryId))],
          };
        }),
      ),
  };
}

export type ReconcileActivities = ReturnType<typeof reconcileActivities>;

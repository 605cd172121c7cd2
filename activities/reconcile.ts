/** Activities of the reconciler: what a delivery without a living workflow left, and the sweep that finds such deliveries. */
import type { Client } from '@temporalio/client';
import { temporalCarriers } from '../audit/carriers.ts';
import type { Holding } from '../audit/holdings.ts';
import { droneIsDown, findOrphans, heldBy } from '../audit/orphans.ts';
import { isSafeToRepair, repair } from '../audit/repair.ts';
import { type accountContract, creditNoteFor } from '../services/account/contract/index.ts';
import type { Delivery } from '../services/delivery/contract/index.ts';
import type { ingestionContract } from '../services/ingestion/contract/index.ts';
import { type Clock, isoTime } from '../shared/clock.ts';
import { everyItem } from '../shared/every-item.ts';
import type { Client as ServiceClient } from '../shared/http/client.ts';
import type { BodyOf } from '../shared/http/contract.ts';
import type { DeliveryId } from '../shared/ids.ts';
import type { Money } from '../shared/schemas.ts';
import { beating } from './beating.ts';
import { callService } from './call.ts';
import type { ServiceClients } from './index.ts';

/** What one look at a delivery shows. */
export interface Examination {
  /** Its own workflow lives: nobody else may undo anything. */
  isCarried: boolean;
  workflow: string;
  termination: { by: string; why: string } | null;
  /** Null: the delivery service does not know it. */
  delivery: Pick<
    Delivery,
    | 'status'
    | 'failure_reason'
    | 'complete'
    | 'compensation'
    | 'sequence'
    | 'account_id'
    | 'price'
    | 'return_price'
  > | null;
  /** Ids of its open interventions. */
  interventions: string[];
  held: Holding[];
  /** Drones among those held that a person has to bring back. */
  downDroneIds: string[];
  captured: Money | null;
  /** What it is owed and was not credited: it is lost, and its end was not reached. Absent in what was seen by an older build. */
  owed?: Omit<BodyOf<typeof accountContract, 'issueCreditNote'>, 'reason'> | null;
  /** By the clock of the deliveries, RFC 3339. */
  now: string;
}

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
    examineDelivery: ({ deliveryId }: { deliveryId: DeliveryId }): Promise<Examination> =>
      callService(undefined, async () => {
        const workflow = await carriers.ofDelivery(deliveryId);
        // The workflow is looked at first: what is read afterwards is all that it left.
        const [{ delivery, held }, authorizations, termination] = await Promise.all([
          heldBy(services, deliveryId),
          everyItem((page) =>
            services.account.listAuthorizations({ query: { ...page, delivery_id: deliveryId } }),
          ),
          workflow === 'terminated' ? carriers.terminationOf(deliveryId) : null,
        ]);
        const captured = authorizations.flatMap((one) => one.captured ?? []);
        const drones = held.flatMap((one) => ('droneId' in one ? [one.droneId] : []));
        const isDown = await Promise.all(drones.map((id) => droneIsDown(services, id)));
        return {
          isCarried: workflow === 'running',
          workflow,
          termination,
          delivery: delivery && {
            status: delivery.status,
            failure_reason: delivery.failure_reason,
            complete: delivery.complete,
            compensation: delivery.compensation,
            sequence: delivery.sequence,
            account_id: delivery.account_id,
            price: delivery.price,
            return_price: delivery.return_price,
          },
          interventions: (delivery?.interventions ?? [])
            .filter((one) => one.resolved_at === null)
            .map((one) => one.id),
          held,
          downDroneIds: drones.filter((_, index) => isDown[index] === true),
          captured: captured[0]
            ? {
                amount: captured.reduce((sum, one) => sum + one.amount, 0),
                currency: captured[0].currency,
              }
            : null,
          owed: delivery ? await owedFor(services, delivery) : null,
          now: isoTime(clock.nowMs()),
        };
      }),

    /** Audits all services and starts the reconciler where it is safe to. */
    sweepOrphans: (): Promise<{ orphans: number; repairing: DeliveryId[]; forAPerson: string[] }> =>
      callService(undefined, () =>
        beating(async () => {
          const endedSince = isoTime(clock.nowMs() - SWEEP_BACK_MS);
          const orphans = await findOrphans(services, carriers, { endedSince });
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

/** The credit note that a lost delivery lacks. One that is complete has come to its end with it, or from before there were any. */
async function owedFor(
  { account }: ServiceClients,
  delivery: Delivery,
): Promise<NonNullable<Examination['owed']> | null> {
  const { id, account_id, livemode, failure_reason, complete, price, packages } = delivery;
  const amount = creditNoteFor(price, packages);
  if (failure_reason !== 'package_lost' || complete || amount.amount === 0) return null;
  const { data } = await account.listCreditNotes({ query: { delivery_id: id } });
  return data.length > 0 ? null : { account_id, delivery_id: id, livemode, amount };
}

export type ReconcileActivities = ReturnType<typeof reconcileActivities>;

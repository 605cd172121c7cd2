/** `/v1/deliveries`: request, read, list, reschedule, cancel, timeline. */
import type { FastifyInstance } from 'fastify';
import type { Principal } from '../../services/account/contract/index.ts';
import { type CancellationReason, type Delivery, utcWindow } from '../../services/delivery/contract/index.ts';
import type { CreateDeliveryRequest } from '../../services/ingestion/contract/index.ts';
import type { Clock } from '../../shared/clock.ts';
import { conflict, notFound, Problem } from '../../shared/errors.ts';
import type { AccountId } from '../../shared/ids.ts';
import type { PickupWindow, Stop } from '../../shared/schemas.ts';
import type { CancelledDelivery } from '../contract/deliveries.ts';
import { deliveryOperations } from '../contract/deliveries.ts';
import { type DeliveryReader, isNotFound } from '../delivery-reader.ts';
import { fingerprintOf } from '../door/fingerprint.ts';
import type { FleetLimitsWatch } from '../door/fleet-limits.ts';
import { changeRefusals, refusals, refuse } from '../door/index.ts';
import { implementPublic, NO_BODY } from '../operation.ts';
import type { Services } from '../services.ts';
import { forViewer, mayRead, ownFilter } from '../tenancy.ts';

export interface DeliveryRoutesOptions {
  services: Services;
  reader: DeliveryReader;
  fleetLimits: FleetLimitsWatch;
  clock: Clock;
}

export function deliveryRoutes(
  app: FastifyInstance,
  { services, reader, fleetLimits, clock }: DeliveryRoutesOptions,
): void {
  const { ingestion, delivery: readModel } = services;

  implementPublic(app, deliveryOperations, {
    async createDelivery({ body }, { principal, idempotencyKey, reply }) {
      const accept = acceptFor(principal, idempotencyKey, body);
      const errors = refusals(body, fleetLimits.current(), clock.nowMs());
      const { delivery, replayed } =
        errors.length === 0
          ? await ingestion.accept({ body: { ...accept, request: body } })
          : ((await earlierAnswer(accept)) ?? refuse(errors));
      void reply.header('location', `/v1/deliveries/${delivery.id}`).header('etag', etagOf(delivery));
      if (replayed) void reply.header('idempotent-replayed', 'true');
      return forViewer(principal, delivery);
    },

    async getDelivery({ params }, { principal, request, reply }) {
      const delivery = await reader.read(principal, params.delivery_id);
      const etag = etagOf(delivery);
      void reply.header('etag', etag).header('cache-control', 'private, no-cache');
      if (matches(request.headers['if-none-match'], etag)) {
        void reply.code(304);
        return NO_BODY;
      }
      return forViewer(principal, delivery);
    },

    async listDeliveries({ query }, { principal }) {
      const page = await readModel.listDeliveries({ query: { ...query, ...ownFilter(principal) } });
      return { ...page, data: page.data.map((one) => forViewer(principal, one)) };
    },

    async changeDelivery({ params: { delivery_id }, body }, { principal, idempotencyKey, request, reply }) {
      const change = oneChange(body);
      assertReasoned(principal, body.why);
      const before = await reader.read(principal, delivery_id);
      const ifMatch = request.headers['if-match'];
      const isUnchanged = ifMatch === undefined || matches(ifMatch, etagOf(before));
      // What was done already is answered as it was, whatever has changed since.
      if (!isUnchanged && idempotencyKey === null) throw changedSince();
      const errors = changeRefusals(before, change, fleetLimits.current(), clock.nowMs());
      if (errors.length > 0 && idempotencyKey === null) refuse(errors);
      const asked = {
        account_id: principal.account_id,
        replay_only: !isUnchanged || errors.length > 0,
        why: body.why ?? 'not said',
        actor: { role: principal.role === 'operator' ? 'operator' : 'business', id: principal.key_id },
        idempotency_key: idempotencyKey,
      } as const;
      const params = { delivery_id };
      const { outcome, reason, detail, replayed } =
        'pickup_window' in change
          ? await ingestion.reschedule({
              params,
              body: { ...asked, ...change, ...(ifMatch !== undefined && { from: before.pickup_window }) },
            })
          : await ingestion.changeDropoff({
              params,
              body: { ...asked, ...change, ...(ifMatch !== undefined && { from: before.dropoff.location }) },
            });
      if (outcome === 'unknown' && errors.length > 0) refuse(errors);
      if (outcome === 'unknown' || reason === 'window_changed' || reason === 'dropoff_changed') {
        throw changedSince();
      }
      if (outcome === 'refused') throw refusedChange(reason, detail);
      if (outcome === 'pending') void reply.code(202);
      const after = await reader.read(principal, delivery_id).catch(() => before);
      // The outcome is decided, so it shows even before the read model has it.
      const isShown = replayed || outcome === 'pending';
      const shown = isShown
        ? after
        : 'pickup_window' in change
          ? { ...after, pickup_window: utcWindow(change.pickup_window) }
          : { ...after, dropoff: change.dropoff };
      void reply.header('etag', etagOf(after));
      if (replayed) void reply.header('idempotent-replayed', 'true');
      return forViewer(principal, shown);
    },

    async cancelDelivery({ params: { delivery_id }, body }, { principal, reply }) {
      assertReasoned(principal, body.why);
      const before = await reader.read(principal, delivery_id);
      const byDefault = principal.role === 'operator' ? 'requested_by_operator' : 'requested_by_sender';
      const reason = body.reason ?? byDefault;
      const answer = await ingestion.cancel({
        params: { delivery_id },
        body: {
          account_id: principal.account_id,
          reason,
          ...(body.why !== undefined && { why: body.why }),
          actor: { role: principal.role === 'operator' ? 'operator' : 'business', id: principal.key_id },
        },
      });
      const { outcome, detail } = answer;
      if (outcome === 'refused') {
        throw conflict(answer.reason ?? 'too_late', detail ?? 'It is too late to cancel this delivery.');
      }
      if (outcome === 'pending') void reply.code(202);
      const after = await afterCancel(principal, before, outcome, reason);
      return { ...forViewer(principal, after), cancellation: { outcome, detail } };
    },

    async listDeliveryEvents({ params, query }, { principal }) {
      try {
        const page = await readModel.listEvents({ params, query });
        const [first] = page.data;
        if (first) {
          if (!mayRead(principal, first)) throw notFound('delivery', params.delivery_id);
          return page;
        }
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
      // No event tells whose it is: none yet, or none on this page.
      await reader.read(principal, params.delivery_id);
      return { data: [], next_cursor: null };
    },
  });

  /** A repetition is answered as it was, even where the door would refuse it today: its deadline may have passed since. */
  async function earlierAnswer({
    account_id,
    livemode,
    idempotency_key,
    fingerprint,
  }: Accept): Promise<{ delivery: Delivery; replayed: boolean } | null> {
    if (idempotency_key === null) return null;
    const { delivery } = await ingestion.findReplay({
      body: { account_id, livemode, idempotency_key, fingerprint },
    });
    return delivery && { delivery, replayed: true };
  }

  /** The delivery after the answer to a cancel. The outcome is decided, so it shows even before the read model has it. */
  async function afterCancel(
    principal: Principal,
    before: Delivery,
    outcome: CancelledDelivery['cancellation']['outcome'],
    reason: CancellationReason,
  ): Promise<Delivery> {
    let after = await reader.read(principal, before.id).catch(() => before);
    if (outcome === 'pending') return after;
    for (const waitMs of READ_BACK_MS) {
      if (after.status === 'cancelled') return after;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      after = await reader.read(principal, before.id).catch(() => after);
    }
    if (after.status === 'cancelled') return after;
    return { ...after, status: 'cancelled', cancellation_reason: reason };
  }
}

/** Waits for the read model to show what was just decided. */
const READ_BACK_MS = [20, 50, 100, 200, 400] as const;

interface Accept {
  account_id: AccountId;
  livemode: boolean;
  idempotency_key: string | null;
  fingerprint: string;
}

/** @throws {Problem} `account-suspended` or `account-closed`. */
function acceptFor(
  principal: Principal,
  idempotencyKey: string | null,
  request: CreateDeliveryRequest,
): Accept {
  const { account_id, account_state, livemode } = principal;
  if (account_id === null) throw new Problem('forbidden', { detail: 'This key belongs to no account.' });
  if (account_state === 'suspended') {
    throw new Problem('account-suspended', {
      detail: 'A suspended account may read, and request no further deliveries.',
    });
  }
  if (account_state === 'closed') {
    throw new Problem('account-closed', { detail: 'A closed account requests no further deliveries.' });
  }
  return {
    account_id,
    livemode,
    idempotency_key: idempotencyKey,
    fingerprint: fingerprintOf(request),
  };
}

/** What an operator does to somebody's delivery is kept with its reason. @throws {Problem} 400 without one */
function assertReasoned({ role }: Principal, why: string | undefined): void {
  if (role !== 'operator' || why !== undefined) return;
  throw new Problem('invalid-request', {
    detail: 'An operator says why: it is kept in the timeline of the delivery.',
    errors: [{ field: 'why', message: 'must be given with an operator’s key' }],
  });
}

/** What is asked for: one of the two. @throws {Problem} 400 */
function oneChange({
  pickup_window,
  dropoff,
}: {
  pickup_window?: PickupWindow;
  dropoff?: Stop;
}): { pickup_window: PickupWindow } | { dropoff: Stop } {
  if (pickup_window !== undefined && dropoff === undefined) return { pickup_window };
  if (dropoff !== undefined && pickup_window === undefined) return { dropoff };
  const message =
    dropoff === undefined
      ? 'must be given, or the other one of pickup_window and dropoff: it says what is to be changed'
      : 'must not come with the other one of pickup_window and dropoff: each change has an answer of its own';
  throw new Problem('invalid-request', {
    detail: 'One change at a time: either pickup_window or dropoff.',
    errors: ['pickup_window', 'dropoff'].map((field) => ({ field, message })),
  });
}

/** Why a place cannot be this delivery's dropoff, at this time or any. */
const UNSERVICEABLE: ReadonlyMap<string | null, string> = new Map([
  ['out_of_range', 'cannot be flown to'],
  ['payload_too_heavy', 'cannot be flown to'],
  ['after_deadline', 'cannot be reached by the deadline'],
]);

/** What no drone can fly, or not by the deadline, cannot be served; all else is a matter of when. */
function refusedChange(reason: string | null, detail: string | null): Problem {
  const why = detail ?? 'It is too late for this change.';
  const cannot = UNSERVICEABLE.get(reason);
  if (reason === null || cannot === undefined) return conflict(reason ?? 'too_late', why);
  return new Problem('unserviceable', {
    reason,
    detail: why,
    errors: [{ field: 'dropoff.location', message: `${cannot}: ${why}` }],
  });
}

const changedSince = () =>
  new Problem('precondition-failed', {
    detail: 'The delivery has changed since it was read. Read it again, and decide anew.',
  });

/** Weak: the same event number is the same delivery, however it is written; being imminent comes with time alone. */
function etagOf({ sequence, imminent }: Delivery): string {
  return `W/"${sequence}${imminent ? '-imminent' : ''}"`;
}

/**
 * RFC 9110, 13.1.2: any of the listed tags, compared weakly. `If-Match` too, although 13.1.1 compares strongly: our tags are the
 * number of the last event, and the same number is the same delivery.
 */
function matches(condition: string | undefined, etag: string): boolean {
  if (condition === undefined) return false;
  const opaque = etag.replace(/^W\//, '');
  return condition
    .split(',')
    .map((one) => one.trim().replace(/^W\//, ''))
    .some((one) => one === '*' || one === opaque);
}

/** `/v1/telemetry` and `/v1/drones`: what aircraft say and ask, passed on to the drone service. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Principal } from '../../services/account/contract/index.ts';
import { Problem } from '../../shared/errors.ts';
import type { DroneId } from '../../shared/ids.ts';
import { droneOperations } from '../contract/drones.ts';
import { implementPublic } from '../operation.ts';
import type { Services } from '../services.ts';

/** Beyond the wait that was asked for. */
const ANSWER_WITHIN_MS = 5_000;

export function droneRoutes(app: FastifyInstance, { drone, aircraft, delivery }: Services): void {
  implementPublic(app, droneOperations, {
    async postTelemetry({ body }, { principal }) {
      for (const { drone_id } of body.drones) assertSpeaksFor(principal, drone_id);
      return aircraft.postTelemetry({ body });
    },
    async listDrones({ query }, { principal }) {
      if (principal.drone_id !== null) {
        throw new Problem('forbidden', { detail: `This key is bound to ${principal.drone_id}.` });
      }
      return drone.listDrones({ query });
    },
    listModels: () => drone.listModels({}),
    listBases: () => drone.listBases({}),
    async getDrone({ params }, { principal }) {
      assertSpeaksFor(principal, params.drone_id);
      return drone.getDrone({ params });
    },
    async getMission({ params, query }, { principal, reply }) {
      assertSpeaksFor(principal, params.drone_id);
      return aircraft.getMission(
        { params, query },
        { timeoutMs: (query.wait_ms ?? 0) + ANSWER_WITHIN_MS, signal: goneSignal(reply) },
      );
    },
    async requestLoadToken({ params, body }, { principal }) {
      assertSpeaksFor(principal, params.drone_id);
      return aircraft.requestLoadToken({ params, body });
    },
    async postPhoto({ params, body }, { principal }) {
      assertSpeaksFor(principal, params.drone_id);
      const { reservation_id, reservation_token, ...photo } = body;
      const reservation = await drone.getReservation({ params: { reservation_id } });
      const isItsOwn = reservation.drone_id === params.drone_id && reservation.token === reservation_token;
      if (!isItsOwn) return STALE;
      const { delivery_id } = reservation;
      return { ...(await delivery.keepPhoto({ params: { delivery_id }, body: photo })), reason: null };
    },
    async postMilestone({ params, body }, { principal }) {
      assertSpeaksFor(principal, params.drone_id);
      return aircraft.postMilestone({ params, body });
    },
  });
}

const STALE = { outcome: 'ignored', reason: 'stale_reservation' } as const;

/** @throws {Problem} `forbidden` when the key is bound to another drone. */
function assertSpeaksFor(principal: Principal, droneId: DroneId): void {
  if (principal.drone_id !== null && principal.drone_id !== droneId) {
    throw new Problem('forbidden', {
      detail: `This key is bound to ${principal.drone_id} and may not speak for ${droneId}.`,
    });
  }
}

/** Aborts when the caller hangs up, so that nobody waits for nobody. */
function goneSignal({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController();
  raw.once('close', () => {
    if (!raw.writableFinished) gone.abort();
  });
  return gone.signal;
}

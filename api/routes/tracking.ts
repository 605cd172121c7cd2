/** `/v1/deliveries/{id}/tracking` and its stream. */
import type { FastifyInstance } from 'fastify';
import type { Delivery } from '../../services/delivery/contract/index.ts';
import type { Clock } from '../../shared/clock.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import type { Logger } from '../../shared/logger.ts';
import { type Tracking, trackingOperations, trackingStream } from '../contract/tracking.ts';
import type { DeliveryReader } from '../delivery-reader.ts';
import { implementPublic, routeOf } from '../operation.ts';
import type { Services } from '../services.ts';
import { followFeed } from '../tracking/feed-follower.ts';
import { follow } from '../tracking/follow.ts';
import { etaWith, type Live, liveDroneOf } from '../tracking/live.ts';
import { positionOf, watchPositions } from '../tracking/positions.ts';
import { createStreams, type StreamOptions } from '../tracking/streams.ts';

export interface TrackingRoutesOptions {
  services: Services;
  reader: DeliveryReader;
  clock: Clock;
  logger: Logger;
  streams: StreamOptions;
}

export function trackingRoutes(
  app: FastifyInstance,
  { services, reader, clock, logger, streams: streamOptions }: TrackingRoutesOptions,
): void {
  const feed = followFeed({ feed: services.feed, logger });
  const positions = watchPositions({ drone: services.drone, logger });
  const streams = createStreams(streamOptions);
  // Before the server waits for its connections to end.
  app.addHook('preClose', async () => {
    feed.stop();
    positions.stop();
    streams.closeAll();
  });

  implementPublic(app, trackingOperations, {
    async getTracking({ params }, { principal }) {
      const delivery = await reader.read(principal, params.delivery_id);
      return trackingOf(delivery, await liveDroneOf(services.drone, delivery), clock);
    },
  });

  app.route<{ Params: { delivery_id: DeliveryId } }>({
    ...routeOf('streamTracking', trackingStream.streamTracking),
    exposeHeadRoute: false,
    handler: async (request, reply) => {
      const { principal } = request;
      const { delivery_id: deliveryId } = request.params;
      const delivery = await reader.read(principal, deliveryId);
      const lastEventId = request.headers['last-event-id'];
      const after =
        lastEventId === undefined ? delivery.sequence - 1 : Math.min(Number(lastEventId), delivery.sequence);
      // EventSource reconnects after every end; only this tells it to stop.
      if (delivery.complete && after >= delivery.sequence) return reply.code(204).send();
      const stream = streams.open(principal.key_id, reply.raw);
      try {
        await follow({
          stream,
          deliveryId,
          after,
          read: () => reader.read(principal, deliveryId),
          timeline: services.delivery,
          feed,
          positions,
          clock,
          logger,
        });
      } catch (error) {
        stream.destroy();
        throw error;
      }
      return (
        reply
          .header('cache-control', 'no-cache, no-transform')
          // A proxy that buffers would hold the events back.
          .header('x-accel-buffering', 'no')
          .type('text/event-stream')
          .send(stream)
      );
    },
  });
}

function trackingOf(delivery: Delivery, live: Live, clock: Clock): Tracking {
  const position = typeof live === 'string' ? null : positionOf(live, clock);
  return {
    object: 'tracking',
    delivery_id: delivery.id,
    status: delivery.status,
    sequence: delivery.sequence,
    complete: delivery.complete,
    imminent: delivery.imminent,
    delayed: delivery.delayed,
    delay_reason: delivery.delay_reason,
    eta: etaWith(delivery, live),
    drone_id: delivery.drone_id,
    confirmation_status: delivery.confirmation_status,
    confirmation_due_at: delivery.confirmation_due_at,
    position_status: position ? 'live' : live === 'unavailable' ? 'unavailable' : 'none',
    position,
    updated_at: delivery.updated_at,
  };
}

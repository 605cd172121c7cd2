/** `/v1/deliveries/{id}/tracking` and its stream. */
import type { FastifyInstance } from 'fastify';
import type { Delivery } from '../../services/delivery/contract/index.ts';
import type { Clock } from '../../shared/clock.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import type { Logger } from '../../shared/logger.ts';
import { type Tracking, trackingOperations, trackingStream } from '../contract/tracking.ts';
import type { DeliveryReader } from '../delivery-reader.ts';
import { implementPublic, routeOf } from '../operation.ts';
import { isOutage, type Services } from '../services.ts';
import { followFeed } from '../tracking/feed-follower.ts';
import { follow } from '../tracking/follow.ts';
import { type LiveDrone, positionOf, watchPositions } from '../tracking/positions.ts';
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
      return trackingOf(delivery, await liveDrone(delivery), clock);
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

  async function liveDrone(delivery: Delivery): Promise<LiveDrone | 'none' | 'unavailable'> {
    if (delivery.complete || delivery.drone_id === null) return 'none';
    try {
      const { data } = await services.drone.live({ query: { delivery_id: [delivery.id] } });
      return data[0] ?? 'none';
    } catch (error) {
      if (isOutage(error)) return 'unavailable';
      throw error;
    }
  }
}

function trackingOf(delivery: Delivery, live: LiveDrone | 'none' | 'unavailable', clock: Clock): Tracking {
  const drone = typeof live === 'string' ? null : live;
  const position = drone && positionOf(drone, clock);
  return {
    object: 'tracking',
    delivery_id: delivery.id,
    status: delivery.status,
    sequence: delivery.sequence,
    complete: delivery.complete,
    imminent: delivery.imminent,
    delayed: delivery.delayed,
    delay_reason: delivery.delay_reason,
    eta: {
      ...delivery.eta,
      // The flight's own forecast is newer than the promise.
      ...(drone?.eta_pickup_at && { pickup_at: drone.eta_pickup_at }),
      ...(drone?.eta_dropoff_at && { dropoff_at: drone.eta_dropoff_at }),
    },
    drone_id: delivery.drone_id,
    position_status: position ? 'live' : live === 'unavailable' ? 'unavailable' : 'none',
    position,
    updated_at: delivery.updated_at,
  };
}

// The tracking stream over real HTTP: order, resumption, heartbeat, positions, slow readers, the end.
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { PositionUpdate } from '../../api/contract.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import { aRequest, startWorld, type World } from './world.ts';

let world: World;
let key: string;
const open = new Set<Stream>();

beforeAll(async () => {
  world = await startWorld({ streams: { heartbeatMs: 100, retryMs: 1234, perKey: 20 } });
  ({ key } = await world.makeAccount('Follower'));
});
afterAll(() => world.close());
afterEach(() => {
  for (const stream of open) stream.stop();
  open.clear();
});

interface Stream {
  status: number;
  headers: Headers;
  events: EventSourceMessage[];
  comments: string[];
  retries: number[];
  /** Resolves when the server has ended it. */
  ended: Promise<void>;
  isOver: boolean;
  stop(): void;
}

async function follow(id: DeliveryId, lastEventId?: number, base = world.url): Promise<Stream> {
  const hangUp = new AbortController();
  const response = await fetch(`${base}/v1/deliveries/${id}/tracking/stream`, {
    headers: {
      authorization: `Bearer ${key}`,
      ...(lastEventId !== undefined && { 'last-event-id': String(lastEventId) }),
    },
    signal: hangUp.signal,
  });
  const stream: Stream = {
    status: response.status,
    headers: response.headers,
    events: [],
    comments: [],
    retries: [],
    ended: Promise.resolve(),
    isOver: false,
    stop: () => hangUp.abort(),
  };
  const parser = createParser({
    onEvent: (event) => stream.events.push(event),
    onComment: (comment) => stream.comments.push(comment),
    onRetry: (retry) => stream.retries.push(retry),
  });
  stream.ended = (async () => {
    const text = new TextDecoder();
    try {
      for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>)
        parser.feed(text.decode(chunk, { stream: true }));
      stream.isOver = true;
    } catch (error) {
      if (!hangUp.signal.aborted) throw error;
    }
  })();
  open.add(stream);
  return stream;
}

const statuses = ({ events }: Stream) =>
  events
    .filter(({ event }) => event === 'status')
    .map(({ id, data }) => `${id ?? '-'} ${(JSON.parse(data) as { status: string }).status}`);

async function aDelivery(): Promise<DeliveryId> {
  const { id } = await world.clientWith(key).createDelivery({ body: aRequest() });
  await world.projected(id);
  return id;
}

describe('A tracking stream', () => {
  it('begins with how it stands, goes on as it happens, and ends with the delivery', async () => {
    const id = await aDelivery();
    await world.append(id, 'confirmed');
    const stream = await follow(id);
    expect(stream.status).toBe(200);
    expect(stream.headers.get('content-type')).toMatch(/^text\/event-stream/);
    expect(stream.headers.get('cache-control')).toContain('no-cache');
    expect(stream.headers.get('x-accel-buffering')).toBe('no');
    await expect.poll(() => statuses(stream)).toEqual(['2 confirmed']);
    expect(stream.retries).toEqual([1234]);

    await world.append(id, 'enroute_to_pickup', 'arrived_at_pickup');
    await expect
      .poll(() => statuses(stream))
      .toEqual(['2 confirmed', '3 enroute_to_pickup', '4 arrived_at_pickup']);
    expect(stream.isOver).toBe(false);

    await world.append(id, { status: 'cancelled', patch: { compensation: 'pending' } });
    await expect.poll(() => statuses(stream).at(-1)).toBe('5 cancelled');
    expect(stream.isOver).toBe(false);
    await world.append(id, {
      type: 'delivery.compensation_complete',
      patch: { compensation: 'complete', complete: true },
    });
    await stream.ended;
    const last = stream.events.at(-1);
    expect(last?.event).toBe('complete');
    expect(JSON.parse(last!.data)).toEqual({ delivery_id: id, status: 'cancelled', sequence: 6 });
  });

  it('shows each event as the timeline has it, with the ETA it brought', async () => {
    const id = await aDelivery();
    const stream = await follow(id);
    const eta = {
      status: 'confirmed' as const,
      pickup_at: '2026-03-01T12:04:10.000Z',
      dropoff_at: '2026-03-01T12:08:55.000Z',
    };
    await world.append(id, { status: 'confirmed', patch: { eta }, data: { note: 'soon\nthere' } });
    await expect.poll(() => statuses(stream)).toHaveLength(2);
    const { data: timeline } = await world.clientWith(key).listDeliveryEvents({
      params: { delivery_id: id },
      query: {},
    });
    expect(JSON.parse(stream.events.at(-1)!.data)).toEqual({ ...timeline[1], eta, complete: false });
  });

  it('goes on where the reader was: nothing missed, nothing twice', async () => {
    const id = await aDelivery();
    const first = await follow(id);
    await world.append(id, 'awaiting_drone');
    await expect.poll(() => statuses(first)).toEqual(['1 created', '2 awaiting_drone']);
    first.stop();
    await world.append(id, 'confirmed', 'enroute_to_pickup');
    const second = await follow(id, 2);
    await world.append(id, 'arrived_at_pickup');
    await expect
      .poll(() => statuses(second))
      .toEqual(['3 confirmed', '4 enroute_to_pickup', '5 arrived_at_pickup']);
    // The whole story, on demand.
    const whole = await follow(id, 0);
    await expect.poll(() => statuses(whole)).toHaveLength(5);
  });

  it('goes on in another process of the api', async () => {
    const id = await aDelivery();
    await world.append(id, 'confirmed');
    const { url } = await world.apiProcess();
    const stream = await follow(id, 1, url);
    await world.append(id, 'enroute_to_pickup');
    await expect.poll(() => statuses(stream)).toEqual(['2 confirmed', '3 enroute_to_pickup']);
  });

  it('tells a reader who has everything of a complete delivery to stop', async () => {
    const id = await aDelivery();
    await world.append(id, { status: 'failed', patch: { complete: true } });
    expect((await follow(id, 2)).status).toBe(204);
    const late = await follow(id);
    await late.ended;
    expect(late.events.map(({ event }) => event)).toEqual(['status', 'complete']);
  });

  it('misses nothing however events race with its beginning', async () => {
    const walk = ['awaiting_drone', 'confirmed', 'enroute_to_pickup', 'awaiting_drone', 'confirmed'] as const;
    await Promise.all(
      Array.from({ length: 6 }, async (_, n) => {
        const id = await aDelivery();
        const writing = (async () => {
          for (const status of walk) await world.append(id, status);
        })();
        await new Promise((resolve) => setTimeout(resolve, n * 3));
        const stream = await follow(id, 0);
        await writing;
        await expect
          .poll(() => statuses(stream))
          .toEqual(['1 created', ...walk.map((status, index) => `${index + 2} ${status}`)]);
      }),
    );
  });

  it('keeps its heart beating while nothing happens', async () => {
    const stream = await follow(await aDelivery());
    await expect.poll(() => stream.comments.length).toBeGreaterThanOrEqual(2);
    expect(new Set(stream.comments)).toEqual(new Set(['heartbeat']));
  });

  it('survives the delivery service going away for a while', async () => {
    const id = await aDelivery();
    const stream = await follow(id);
    await expect.poll(() => statuses(stream)).toHaveLength(1);
    await world.relays.delivery.cut();
    await world.append(id, 'confirmed');
    await world.relays.delivery.mend();
    await expect.poll(() => statuses(stream), { timeout: 15_000 }).toEqual(['1 created', '2 confirmed']);
  });

  it('shows where the drone is, each position once, with its age', async () => {
    const id = await aDelivery();
    const { account_id, packages, pickup, dropoff } = await world.projected(id);
    const clock = { anchorWallMs: 0, anchorMs: 0, rate: 1 };
    const reserved = await world.drone.reserve(
      {
        body: {
          delivery_id: id,
          account_id,
          livemode: true,
          pickup: pickup.location,
          dropoff: dropoff.location,
          payload_kg: packages[0]!.weight_kg,
          package_sizes: ['small'],
          clock,
          expedited: false,
          wait: false,
          exclude_drone_ids: [],
        },
      },
      { idempotencyKey: `${id}/reserve/1` },
    );
    if (reserved.outcome !== 'reserved') throw new Error(`not reserved: ${reserved.outcome}`);
    await world.append(id, { status: 'confirmed', patch: { drone_id: reserved.drone_id } });
    const heardAt = new Date(Date.now() - 3_000).toISOString();
    const tell = (recorded_at: string, altitude_m: number) =>
      world.aircraft.postTelemetry({
        body: {
          drones: [
            {
              drone_id: reserved.drone_id,
              samples: [
                {
                  recorded_at,
                  position: pickup.location,
                  altitude_m,
                  speed_mps: 0,
                  battery: 0.9,
                  flight_mode: 'hover',
                },
              ],
            },
          ],
        },
      });
    await tell(heardAt, 41);
    const stream = await follow(id);
    const positions = () =>
      stream.events
        .filter(({ event }) => event === 'position')
        .map(({ id: eventId, data }) => ({ eventId, ...(JSON.parse(data) as Partial<PositionUpdate>) }));
    await expect.poll(positions, { timeout: 5_000 }).toHaveLength(1);
    expect(positions()[0]).toMatchObject({
      eventId: undefined,
      delivery_id: id,
      drone_id: reserved.drone_id,
      altitude_m: 41,
      recorded_at: heardAt,
    });
    expect(positions()[0]!.age_s).toBeGreaterThanOrEqual(3);
    await tell(new Date().toISOString(), 42);
    await expect.poll(() => positions().at(-1)?.altitude_m, { timeout: 5_000 }).toBe(42);
    expect(positions()).toHaveLength(2);

    const tracking = await world.clientWith(key).getTracking({ params: { delivery_id: id } });
    expect(tracking).toMatchObject({
      status: 'confirmed',
      drone_id: reserved.drone_id,
      position_status: 'live',
      position: { altitude_m: 42, location: pickup.location },
    });
    expect(tracking.position!.age_s).toBeLessThan(60);
  });

  it('is cut off when its reader does not read, and no other stream is', async () => {
    const { url } = await world.apiProcess({ streams: { maxBufferedBytes: 8_000_000 } });
    const id = await aDelivery();
    const good = await follow(id, undefined, url);
    const deaf = await deafReader(url, `/v1/deliveries/${id}/tracking/stream`);
    // Far more than the kernel takes on its way.
    const [times, size] = [80, 400_000];
    for (let n = 0; n < times; n += 1) {
      await world.append(id, { type: 'delivery.noted', data: { text: 'x'.repeat(size) } });
    }
    await expect.poll(() => statuses(good), { timeout: 10_000 }).toHaveLength(times + 1);
    expect(good.isOver).toBe(false);
    expect(await deaf.readAll()).toBeLessThan(times * size);
  }, 60_000);

  it('does not hold up the end of its process when its reader does not read', async () => {
    const { app, url } = await world.apiProcess({ streams: { maxBufferedBytes: 50_000_000 } });
    const id = await aDelivery();
    const deaf = await deafReader(url, `/v1/deliveries/${id}/tracking/stream`);
    const good = await follow(id, undefined, url);
    await expect.poll(() => statuses(good)).toHaveLength(1);
    for (let n = 0; n < 20; n += 1) {
      await world.append(id, { type: 'delivery.noted', data: { text: 'x'.repeat(400_000) } });
    }
    await expect.poll(() => statuses(good), { timeout: 10_000 }).toHaveLength(21);
    await app.close();
    await deaf.readAll();
    await good.ended;
  });

  it('is one of so many that a key may have', async () => {
    const { url } = await world.apiProcess({ streams: { perKey: 2 } });
    const id = await aDelivery();
    const [first] = [await follow(id, undefined, url), await follow(id, undefined, url)];
    const third = await follow(id, undefined, url);
    expect(third.status).toBe(429);
    expect(third.headers.get('retry-after')).not.toBeNull();
    first.stop();
    await expect
      .poll(async () => {
        const next = await follow(id, undefined, url);
        if (next.status !== 200) next.stop();
        return next.status;
      })
      .toBe(200);
  });

  it('ends when its process stops, without holding it up', async () => {
    const { app, url } = await world.apiProcess();
    const stream = await follow(await aDelivery(), undefined, url);
    const before = performance.now();
    await app.close();
    await stream.ended;
    expect(stream.isOver).toBe(true);
    expect(performance.now() - before).toBeLessThan(5_000);
  });

  it('leaves nothing behind when its reader hangs up', async () => {
    const { url } = await world.apiProcess({ streams: { perKey: 1 } });
    const id = await aDelivery();
    for (let n = 0; n < 5; n += 1) {
      let stream: Stream | undefined;
      await expect
        .poll(async () => {
          stream = await follow(id, undefined, url);
          return stream.status;
        })
        .toBe(200);
      stream?.stop();
    }
  });
});

/** Asks for a stream and reads not a byte of it, until it is told to: then it says how many there were before the end. */
async function deafReader(base: string, path: string): Promise<{ readAll(): Promise<number> }> {
  const { hostname, port } = new URL(base);
  const socket: Socket = connect(Number(port), hostname);
  socket.pause();
  await new Promise((resolve) => socket.once('connect', resolve));
  socket.write(`GET ${path} HTTP/1.1\r\nhost: ${hostname}\r\nauthorization: Bearer ${key}\r\n\r\n`);
  return {
    readAll: () =>
      new Promise((resolve) => {
        let bytes = 0;
        socket.on('data', (chunk) => (bytes += chunk.length));
        socket.once('error', () => resolve(bytes));
        socket.once('close', () => resolve(bytes));
        socket.resume();
      }),
  };
}

/** The two servers a lab can run on: the time-skipping one, and the real one in real time on a fast clock. */
import type { ConnectionLike } from '@temporalio/client';
import { Connection } from '@temporalio/client';
import type { DataConverter } from '@temporalio/common';
import { NativeConnection } from '@temporalio/worker';
import { setTimeout as delay } from 'node:timers/promises';
import { type ClockSettings, LIVE_CLOCK } from '../../shared/clock.ts';
import { postgresAdminUrl } from '../support/postgres.ts';
import { createTimeSkippingEnvironment, startRealTemporal } from '../support/temporal.ts';

export interface LabServer {
  /** Time passes only when the lab says so. */
  virtual: boolean;
  address: string;
  connection: ConnectionLike;
  nativeConnection: NativeConnection;
  namespace: string;
  /** What deliveries, services and drones go by, over `wallMs`. */
  clock: ClockSettings;
  wallMs(): Promise<number>;
  /** Lets wall time pass. */
  sleep(ms: number): Promise<void>;
  stop(): Promise<void>;
}

/** Of so many times that it was let pass, the time is asked for once. */
const ASKED_EVERY = 16;

export async function timeSkippingServer(dataConverter: DataConverter): Promise<LabServer> {
  const env = await createTimeSkippingEnvironment({ client: { dataConverter } });
  const read = async () => {
    const ms = await env.currentTimeMs();
    return { ms, atMs: performance.now() };
  };
  // Unless it is told to let time pass, its clock goes as fast as any, and otherwise by as much at least: nobody needs to ask it every
  // time. Never ahead of it, as its answer was true when it was sent; behind it by as long as a few calls take.
  let known = await read();
  const believedMs = () => known.ms + Math.floor(performance.now() - known.atMs);
  let passing = 0;
  let unasked = 0;
  return {
    virtual: true,
    // Not the environment's own client: that one lets time skip while it waits for a result.
    address: env.address,
    connection: env.connection,
    nativeConnection: env.nativeConnection,
    namespace: env.namespace ?? 'default',
    clock: LIVE_CLOCK,
    async wallMs() {
      return passing > 0 ? env.currentTimeMs() : believedMs();
    },
    async sleep(ms) {
      const untilMs = believedMs() + Math.ceil(ms);
      passing += 1;
      try {
        await env.sleep(Math.ceil(ms));
        unasked = (unasked + 1) % ASKED_EVERY;
        known =
          unasked === 0 ? await read() : { ms: Math.max(untilMs, believedMs()), atMs: performance.now() };
      } finally {
        passing -= 1;
      }
    },
    stop: () => env.teardown(),
  };
}

/** `rate`: clock seconds per second. */
export async function realServer(rate: number): Promise<LabServer> {
  const temporal = await startRealTemporal({ postgresAdminUrl: postgresAdminUrl() });
  const connection = await Connection.connect({ address: temporal.address });
  const nativeConnection = await NativeConnection.connect({ address: temporal.address });
  const beganMs = Date.now();
  return {
    virtual: false,
    address: temporal.address,
    connection,
    nativeConnection,
    namespace: temporal.namespace,
    clock: { anchorWallMs: beganMs, anchorMs: beganMs, rate },
    wallMs: () => Promise.resolve(Date.now()),
    sleep: (ms) => delay(ms),
    async stop() {
      await connection.close();
      await nativeConnection.close();
      await temporal.stop();
    },
  };
}

/**
 * An open loop: requests leave at a fixed rate whether or not earlier ones were answered, and a latency counts from when its
 * request was due. So a server that stalls is charged for everybody who would have waited (no coordinated omission).
 *
 * Not autocannon's `overallRate`: that sends each second's requests in one burst at the start of the second.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Latencies, type LatencySummary } from '../percentiles.ts';

export interface OpenLoopOptions {
  perSecond: number;
  /** Not counted. */
  warmUpS: number;
  measureS: number;
  /** Sends one request; rejects when it was not answered well. */
  send: () => Promise<void>;
}

export interface OpenLoopResult {
  latency: LatencySummary;
  /** What was really sent: less than asked for when this machine could not keep up with sending. */
  sentPerSecond: number;
  failed: number;
  /** The first failure, in words. */
  failure: string | undefined;
}

const TICK_MS = 1;

/** Runs the loop and returns when every request has been answered. */
export async function openLoop({
  perSecond,
  warmUpS,
  measureS,
  send,
}: OpenLoopOptions): Promise<OpenLoopResult> {
  const latencies = new Latencies();
  const intervalMs = 1000 / perSecond;
  const warmUps = Math.round(perSecond * warmUpS);
  const total = warmUps + Math.round(perSecond * measureS);
  const startedAt = performance.now();
  const underWay = new Set<Promise<void>>();
  let failed = 0;
  let failure: string | undefined;
  let sendingS = 0;
  const sendOne = async (index: number, dueAt: number) => {
    try {
      await send();
      if (index >= warmUps) latencies.record(performance.now() - dueAt);
    } catch (error) {
      failed += 1;
      failure ??= String(error);
    }
  };
  for (let index = 0; index < total;) {
    for (; index < total; index++) {
      const dueAt = startedAt + index * intervalMs;
      if (dueAt > performance.now()) break;
      const sent = sendOne(index, dueAt).finally(() => underWay.delete(sent));
      underWay.add(sent);
    }
    sendingS = (performance.now() - startedAt) / 1000;
    await sleep(TICK_MS);
  }
  await Promise.all(underWay);
  return { latency: latencies.summary(), sentPerSecond: total / sendingS, failed, failure };
}

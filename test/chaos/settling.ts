/** When a run is over: everything has ended, nothing is held by anybody, and everybody has been told. */
import { setTimeout as delay } from 'node:timers/promises';
import { whatIsHeld } from '../../local/held.ts';
import type { ServiceClients } from '../../local/service-clients.ts';
import { messageOf } from '../../shared/errors.ts';
import type { FeedFollower, StreamFollower } from './witnesses.ts';

const LOOK_EVERY_MS = 1_000;
/** More than these help nobody. */
const NAMED = 5;

export interface Settling {
  services: ServiceClients;
  feed: FeedFollower;
  streams: () => readonly StreamFollower[];
  /** Everything that was asked for has its answer. */
  answered: () => Promise<unknown>;
  withinMs: number;
  signal: AbortSignal;
  /** Told what is missing, at every look. */
  onMissing: (what: string) => void;
}

/** Waits until nothing is missing. Answers what was at the end of the time; undefined: it has settled. */
export async function settled(settling: Settling): Promise<string | undefined> {
  const deadline = Date.now() + settling.withinMs;
  for (;;) {
    const missing = await whatIsMissing(settling).catch((error: unknown) => messageOf(error));
    if (missing === undefined) return undefined;
    if (Date.now() > deadline) return missing;
    settling.onMissing(missing);
    await delay(LOOK_EVERY_MS, undefined, { signal: settling.signal });
  }
}

async function whatIsMissing({ services, feed, streams, answered }: Settling): Promise<string | undefined> {
  const isAnswered = await Promise.race([
    answered().then(() => true),
    delay(LOOK_EVERY_MS).then(() => false),
  ]);
  if (!isAnswered) return 'something that was asked for has no answer';
  const { data: open, next_cursor: next } = await services.delivery.listDeliveries({
    query: { complete: false, limit: NAMED },
  });
  if (open.length > 0) {
    const some = open.map(({ id, status, delayed }) => `${id} ${status}${delayed ? ', delayed' : ''}`);
    return `${open.length}${next === null ? '' : ' or more'} are open: ${some.join('; ')}`;
  }
  const held = await whatIsHeld(services);
  if (held.length > 0) return `${held.length} are held: ${held.slice(0, NAMED).join('; ')}`;
  if (feed.behind > 0) return `the follower of the feed is ${feed.behind} behind`;
  const broken = streams().filter((one) => !one.isComplete);
  return broken.length > 0 ? `${broken.length} streams are not complete` : undefined;
}

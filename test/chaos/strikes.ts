/** Carries out the acts of a plan: each at its time, those on one victim one after the other. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Stack } from '../../local/stack.ts';
import { messageOf } from '../../shared/errors.ts';
import type { Network } from './network.ts';
import { describeAct, type PlannedAct, type Victim } from './plan.ts';
import { signalTree } from './process-tree.ts';
import { atTheirTimes } from './timetable.ts';

const START_AGAIN_AFTER_MS = 500;
/** So many deliveries under way are something to be struck. */
const WORK = 10;
const LOOK_EVERY_MS = 100;

export interface Strikes {
  /** How many of each kind were carried out: what had ended by itself when its time came was not struck. */
  done: Record<PlannedAct['kind'], number>;
  /** Of all these, how many struck while there was work to be struck. */
  amidWork: number;
  /** Starts that did not come up at once, because something they need was down too. */
  failedStarts: number;
}

export const noStrikes = (): Strikes => ({
  done: { kill: 0, stop: 0, cut: 0, stall: 0 },
  amidWork: 0,
  failedStarts: 0,
});

export interface StrikeOptions {
  stack: Pick<Stack, 'pid' | 'kill' | 'restart'>;
  network: Pick<Network, 'proxy'>;
  acts: readonly PlannedAct[];
  /** Of the run's beginning, as `Date.now()`. */
  begunMs: number;
  signal: AbortSignal;
  say: (what: string) => void;
  /** Counted in as they are carried out. */
  strikes: Strikes;
  /** How many deliveries are under way. */
  underWay: () => number;
}

/** Resolves once all acts are over: whoever was killed is up again, stopped ones go on, the links are whole. */
export async function strike({
  stack,
  network,
  acts,
  begunMs,
  signal,
  say,
  strikes,
  underWay,
}: StrikeOptions): Promise<void> {
  const busy = new Map<string, Promise<void>>();
  const oneByOne = (victim: string, act: () => Promise<void>): Promise<void> => {
    const next = (busy.get(victim) ?? Promise.resolve()).then(act);
    busy.set(victim, next);
    return next;
  };

  async function start(victim: Victim): Promise<void> {
    for (;;) {
      try {
        await stack.restart(victim);
        return;
      } catch (error) {
        signal.throwIfAborted();
        strikes.failedStarts += 1;
        say(`${victim} did not come up, and is started again: ${messageOf(error).split('\n')[0] ?? ''}`);
        await delay(START_AGAIN_AFTER_MS, undefined, { signal });
      }
    }
  }

  async function carryOut(act: PlannedAct): Promise<boolean> {
    switch (act.kind) {
      case 'kill': {
        const isThere = stack.pid(act.victim) !== undefined;
        await stack.kill(act.victim);
        await delay(act.downMs, undefined, { signal });
        await start(act.victim);
        return isThere;
      }
      case 'stop':
        return stop(act.victim, act.forMs);
      case 'cut':
        network.proxy(act.link).cut({ refuse: act.forMs > 0 });
        await delay(act.forMs, undefined, { signal }).finally(() => network.proxy(act.link).mend());
        return true;
      case 'stall':
        network.proxy(act.link).stall();
        await delay(act.forMs, undefined, { signal }).finally(() => network.proxy(act.link).mend());
        return true;
    }
  }

  async function stop(victim: Victim, forMs: number): Promise<boolean> {
    const pid = stack.pid(victim);
    if (pid === undefined || (await signalTree(pid, 'SIGSTOP')) === 0) return false;
    await delay(forMs, undefined, { signal }).finally(() => signalTree(pid, 'SIGCONT'));
    return true;
  }

  await atTheirTimes(acts, { begunMs, signal }, (act, index) =>
    oneByOne('victim' in act ? act.victim : act.link, async () => {
      const isAmidWork = underWay() >= WORK;
      say(`act ${index + 1}: ${describeAct(act)}, with ${underWay()} deliveries under way`);
      if (await carryOut(act)) {
        strikes.done[act.kind] += 1;
        if (isAmidWork) strikes.amidWork += 1;
      } else
        say(`act ${index + 1} struck nobody: ${'victim' in act ? act.victim : act.link} had ended by itself`);
    }),
  );
}

/** Resolves once enough deliveries are under way to be struck, or no more are posted. */
export async function untilThereIsWork(
  underWay: () => number,
  posting: Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const posted = new AbortController();
  const end = () => posted.abort();
  posting.then(end, end);
  while (underWay() < WORK && !posted.signal.aborted) {
    await delay(LOOK_EVERY_MS, undefined, { signal });
  }
}

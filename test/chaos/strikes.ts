/** Carries out the acts of a plan: each at its time, those on one victim one after the other. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Stack } from '../../local/stack.ts';
import { messageOf } from '../../shared/errors.ts';
import type { Network } from './network.ts';
import { describeAct, type PlannedAct, type Victim } from './plan.ts';

const START_AGAIN_AFTER_MS = 500;

export interface Strikes {
  /** How many of each kind were carried out. */
  done: Record<PlannedAct['kind'], number>;
  /** Starts that did not come up at once, because something they need was down too. */
  failedStarts: number;
}

export interface StrikeOptions {
  stack: Stack;
  network: Network;
  acts: readonly PlannedAct[];
  /** Of the run's beginning, as `Date.now()`. */
  begunMs: number;
  signal: AbortSignal;
  say: (what: string) => void;
}

/** Resolves once all acts are over: whoever was killed is up again, stopped ones go on, the links are whole. */
export async function strike({
  stack,
  network,
  acts,
  begunMs,
  signal,
  say,
}: StrikeOptions): Promise<Strikes> {
  const strikes: Strikes = { done: { kill: 0, stop: 0, cut: 0, stall: 0 }, failedStarts: 0 };
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

  async function carryOut(act: PlannedAct): Promise<void> {
    switch (act.kind) {
      case 'kill':
        await stack.kill(act.victim);
        await delay(act.downMs, undefined, { signal });
        await start(act.victim);
        break;
      case 'stop':
        signalTo(act.victim, 'SIGSTOP');
        await delay(act.forMs, undefined, { signal }).finally(() => signalTo(act.victim, 'SIGCONT'));
        break;
      case 'cut':
        network.proxy(act.link).cut({ refuse: act.forMs > 0 });
        await delay(act.forMs, undefined, { signal }).finally(() => network.proxy(act.link).mend());
        break;
      case 'stall':
        network.proxy(act.link).stall();
        await delay(act.forMs, undefined, { signal }).finally(() => network.proxy(act.link).mend());
        break;
    }
    strikes.done[act.kind] += 1;
  }

  function signalTo(victim: Victim, what: 'SIGSTOP' | 'SIGCONT'): void {
    const pid = stack.pid(victim);
    // It ended by itself meanwhile: the stack starts it again.
    if (pid !== undefined) process.kill(pid, what);
  }

  await Promise.all(
    acts.map(async (act, index) => {
      await delay(Math.max(0, begunMs + act.atMs - Date.now()), undefined, { signal });
      await oneByOne('victim' in act ? act.victim : act.link, async () => {
        say(`act ${index + 1}: ${describeAct(act)}`);
        await carryOut(act);
      });
    }),
  );
  return strikes;
}

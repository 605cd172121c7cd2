/** Whether the interventions about compensations name exactly what is left: by the keys of the steps that took it. */
import type { HeldRow } from '../../checker/held-rows.ts';
import type { Call } from '../faults.ts';

/** An intervention that is open. */
export interface Open {
  /** `compensation:release_drone/2` */
  kind: string;
  reason: string;
}

export interface Left {
  open: readonly Open[];
  held: readonly Pick<HeldRow, 'kind' | 'stepKey'>[];
  /** The steps that have offered the drone another dropoff, and are not undone: they stand, but hold nothing. */
  reroutes: readonly string[];
  calls: readonly Pick<Call, 'activity' | 'key' | 'refersTo' | 'acted' | 'result'>[];
  /** The delivery has ended: it holds nothing but what is left. Before, it holds what it needs. */
  isOver: boolean;
}

/** What is held and not named by any of them, and what is named and not held. */
export function unnamed({ open, held, reroutes, calls, isOver }: Left): string[] {
  const standing = new Set([...held.map(({ stepKey }) => stepKey), ...reroutes]);
  const named = open.flatMap(({ kind, reason }) =>
    (reason.match(/del_\w+\/\w+\/\d+/g) ?? []).map((key) => ({ kind, key })),
  );
  const namedKeys = new Set(named.map(({ key }) => key));
  return [
    ...held
      .filter(({ stepKey }) => isOver && !namedKeys.has(stepKey))
      .map(({ kind, stepKey }) => `${kind} ${stepKey} is not named`),
    ...named
      .filter(({ key, kind }) => !standing.has(key) && !mayBeNamed(key, kind, calls))
      .map(({ key }) => `${key} is named and not held`),
  ];
}

/** By what the services call them: what undoes the step that their call refers to. */
export const UNDOING: ReadonlySet<string> = new Set([
  'voidAuthorization',
  'voidPackages',
  'releaseDrone',
  'recallDrone',
  'cancelBooking',
  'writeOffBooking',
  'undoReroute',
]);

/**
 * Nobody can know that a step never acted, or that its repetition, whose answer was lost, has taken its place, or that it was undone by
 * a call whose answer was lost; and what was undone once is undone again at the end. A charge that is due is made good, not undone.
 */
function mayBeNamed(key: string, kind: string, calls: Left['calls']): boolean {
  const settles = (activity: string) =>
    UNDOING.has(activity) || (activity === 'capture' && kind.startsWith('compensation:capture_charge'));
  const isSettled = calls.some((call) => call.refersTo === key && call.acted && settles(call.activity));
  const [, step = '', ordinal = ''] = /(\w+)\/(\d+)$/.exec(key) ?? [];
  const repetition = calls.filter((call) => call.key.endsWith(`/${step}/${Number(ordinal) + 1}`));
  const isReplaced =
    repetition.some(({ acted }) => acted) && !repetition.some(({ result }) => result === 'ok');
  return isSettled || isReplaced || !calls.some((call) => call.key === key && call.acted);
}

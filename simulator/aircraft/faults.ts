/** What can go wrong with an aircraft on a mission, and when. */
import { Type, type Static } from 'typebox';
import { OneOf } from '../../shared/schemas.ts';

export const STAGES = [
  'to_pickup',
  'at_pickup',
  'to_dropoff',
  'at_dropoff',
  'to_return',
  'at_return',
  'home',
] as const;
export type Stage = (typeof STAGES)[number];

export const FAILURES = [
  'motor_failure',
  'crash',
  'lost_link',
  'sender_absent',
  'dropoff_blocked',
  'recipient_absent',
] as const;
export const Failure = OneOf(FAILURES, {
  description:
    'motor_failure: lands safely where it is, and sets down the package if it has one · crash: comes down where it is, and keeps the package in it · lost_link: silent for `for_s`, then tells all it kept · sender_absent: nobody loads · dropoff_blocked: it cannot set the package down · recipient_absent: where somebody has to confirm it, nobody does',
});
export type Failure = Static<typeof Failure>;

export const DEFAULT_LINK_LOSS_S = 120;

/** A failure that will happen when its stage is reached. Those of people and places have their own stage. */
export interface ArmedFault {
  /** Who armed it, to tell them that it happened. */
  readonly id: string;
  readonly failure: Failure;
  readonly stage: Stage;
  /** How far into the stage, 0–1 of its planned duration. */
  readonly at: number;
  /** For `lost_link`: how long, seconds. */
  readonly forS: number;
  /** Set when the stage begins. */
  readonly dueMs: number | null;
}

export const StageSchema = OneOf(STAGES);
export const FractionSchema = Type.Number({ minimum: 0, maximum: 1 });

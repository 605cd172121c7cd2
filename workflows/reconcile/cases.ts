/** What the reconciler asks people about what it cannot undo by itself. There is nothing to answer: each closes when it is done. */
import type { Money } from '../../shared/schemas.ts';
import type { Question } from './questions.ts';
import type { Holding } from './undoing.ts';

export const CREDIT_NOTE = 'credit_note';

/** What one step took: `register_1`. */
export const aboutOf = ({ stepKey }: Holding): string =>
  stepKey.slice(stepKey.indexOf('/') + 1).replaceAll('/', '_');

const NEEDS_INTERVENTION = { answers: [], patch: { compensation: 'needs_intervention' as const } };
const BY_ITSELF =
  'it is tried again at least once a minute, and this closes by itself as soon as it is done. There is nothing to answer.';

export const aboutUndoing = (held: Holding, why: string): Question => ({
  about: aboutOf(held),
  kind: `compensation:${held.kind}`,
  reason: `Undoing it ${why}: ${held.what}. Find out what that service lacks and settle it there; ${BY_ITSELF}`,
  ...NEEDS_INTERVENTION,
});

export const aboutCredit = ({ amount, currency }: Money, why: string): Question => ({
  about: CREDIT_NOTE,
  kind: 'compensation:credit_note',
  reason: `Crediting ${amount} ${currency} for what was lost ${why}. Find out what the account service lacks and settle it there; ${BY_ITSELF}`,
  ...NEEDS_INTERVENTION,
});

export const aboutDrone = (held: Holding): Question => ({
  about: `drone_down_${aboutOf(held)}`,
  kind: 'drone_down',
  reason: `Drone ${'droneId' in held ? held.droneId : 'unknown'} is down, and its delivery has no workflow any more. Recover it, then set the drone to maintenance: this closes by itself then. There is nothing to answer.`,
  ...NEEDS_INTERVENTION,
});

const UNREAD = 'unread_';
export const isAboutService = (about: string): boolean => about.startsWith(UNREAD);

export const aboutService = (service: string): Question => ({
  about: UNREAD + service,
  kind: `compensation:${service}`,
  reason: `The ${service} service does not answer: what it still holds for the delivery is not known. This closes by itself as soon as it answers. There is nothing to answer.`,
  ...NEEDS_INTERVENTION,
});

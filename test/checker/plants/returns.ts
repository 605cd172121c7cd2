/** Deliveries that came back or were left without a cause, and proofs that were given too late, or not at all. */
import { type Plant, replace } from '../planting.ts';
import { at, type Planted } from '../kept-delivery.ts';

const by = (id: string) => (one: { id: string }) => one.id === id;

/** The flight back has another cause, by what the drone says. */
function turnedFor(history: Planted, reason: string | undefined): void {
  replace(history.milestones, ({ kind }) => kind === 'turned_back', {
    detail: reason === undefined ? {} : { reason },
  });
}

function without(history: Planted, id: string, left: string): void {
  history.milestones = history.milestones.filter(
    ({ kind, deliveryId }) => deliveryId !== id || kind !== left,
  );
}

const deliverable = (history: Planted) =>
  replace(history.deliveries, by('del_back'), { undeliverable_reason: null });

const failure = (of: string, name: string, says: RegExp, plant: Plant['plant']): Plant => ({
  name,
  plant,
  kind: 'failure',
  of,
  says,
});

const proof = (of: string, name: string, says: RegExp, plant: Plant['plant']): Plant => ({
  name,
  plant,
  kind: 'proof',
  of,
  says,
});

export const RETURN_PLANTS: Plant[] = [
  failure(
    'del_back',
    'a drone that was told to turn round for nothing',
    /flown back, and nobody asked for that/,
    deliverable,
  ),
  failure(
    'del_back',
    'a return without a drone that turned round',
    /came back, and no drone turned round/,
    (history) => {
      without(history, 'del_back', 'turned_back');
    },
  ),
  failure(
    'del_back',
    'a drone that turned back from a dropoff that was free',
    /from a dropoff that nothing blocked/,
    (history) => {
      turnedFor(history, 'dropoff_blocked');
      without(history, 'del_back', 'dropoff_blocked');
    },
  ),
  failure(
    'del_back',
    'a drone that turned back for want of a recipient, where none is needed',
    /for want of a recipient whom it does not need/,
    (history) => {
      turnedFor(history, 'recipient_absent');
    },
  ),
  failure(
    'del_back',
    'a drone that turned round for a reason that nobody knows',
    /why is not known/,
    (history) => {
      turnedFor(history, undefined);
    },
  ),
  failure(
    'del_back',
    'a dropoff that is said to have been blocked',
    /is said to have been blocked, and no drone found it so/,
    (history) => {
      without(history, 'del_back', 'dropoff_blocked');
    },
  ),
  failure(
    'del_back',
    'a recipient who is said to have been absent, where none is needed',
    /is said to have been absent, and nobody had to be there/,
    (history) => replace(history.deliveries, by('del_back'), { undeliverable_reason: 'recipient_absent' }),
  ),
  failure(
    'del_1',
    'a package that was left although its sender wants it back',
    /left unattended, and its sender wants it back/,
    (history) => replace(history.deliveries, by('del_1'), { left_unattended: true }),
  ),
  proof(
    'del_pin',
    'a PIN that was given after the package had been let go',
    /handed over 60 s before its pin was given/,
    (history) => replace(history.proofs, () => true, { confirmedAt: at(5) }),
  ),
  proof(
    'del_pin',
    'a signature that was given after the package had been let go',
    /handed over 60 s before its signature was given/,
    (history) => {
      replace(history.proofs, () => true, { kind: 'signature', confirmedAt: at(5) });
      askedFor(history, 'signature');
    },
  ),
  proof('del_pin', 'a PIN that nobody gave', /handed over for confirmed, and no pin was given/, (history) =>
    replace(history.proofs, () => true, { confirmedAt: null }),
  ),
  proof(
    'del_pin',
    'another proof than the one that was asked for',
    /handed over for confirmed, and no pin was given/,
    (history) => replace(history.proofs, () => true, { kind: 'photo' }),
  ),
  proof(
    'del_pin',
    'a PIN that was asked for and forgotten',
    /handed over without its pin: not_required/,
    (history) =>
      replace(history.deliveries, by('del_pin'), {
        confirmation: 'none',
        confirmation_status: 'not_required',
      }),
  ),
];

function askedFor(history: Planted, confirmation: 'signature' | 'photo'): void {
  replace(history.deliveries, by('del_pin'), { confirmation });
  const request = history.accepted.find(({ answers }) => answers.includes('del_pin'));
  Object.assign(request!.requested!, { confirmation });
}

/** A photo is taken as the package is let go, and may be looked at later. */
export function photographed(history: Planted): void {
  replace(history.proofs, () => true, { kind: 'photo', confirmedAt: at(5) });
  askedFor(history, 'photo');
}

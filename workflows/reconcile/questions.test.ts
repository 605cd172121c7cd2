import { describe, expect, it } from 'vitest';
import type { Examination } from '../../activities/examination.ts';
import { interventionIdOf, reconcilersQuestion } from '../../services/delivery/contract/interventions.ts';
import { newId } from '../../shared/ids.ts';
import { examined } from '../../test/support/examination.ts';
import { aboutService } from './cases.ts';
import { IN_DRONE } from './fate.ts';
import { type Question, Questions } from './questions.ts';
import { type Note, Timeline } from './timeline.ts';

const deliveryId = newId('delivery');

/** Keeps what would be written. */
class Kept extends Timeline {
  readonly notes: Note[] = [];

  constructor() {
    super(deliveryId, (step) => step);
  }

  override async note(_seen: Examination, note: Note): Promise<void> {
    this.notes.push(note);
  }
}

const seenOf = (delivery: Parameters<typeof examined>[0], interventions: string[] = []) =>
  examined(delivery, { interventions });

const inDrone: Question = {
  about: IN_DRONE,
  kind: 'drone_down',
  reason: 'it is down',
  answers: [],
  patch: { delayed: true },
};

describe('what a delivery says of its compensation while people are asked', () => {
  it('is that they are needed, and pending again with the last question about it', async () => {
    const questions = new Questions(deliveryId, { areShown: false });
    const timeline = new Kept();
    const seen = seenOf({});
    for (const question of [aboutService('drone'), inDrone, aboutService('account')]) {
      await questions.ask(timeline, seen, question);
    }
    expect(timeline.notes.map(({ patch }) => patch?.compensation)).toEqual([
      'needs_intervention',
      undefined,
      'needs_intervention',
    ]);
    timeline.notes.length = 0;
    await questions.keepOnly(timeline, seen, ['unread_account', IN_DRONE]);
    expect(timeline.notes.map(({ patch }) => patch)).toEqual([undefined]);
    // As it was seen before the first of them was closed.
    const stale = seenOf(
      { compensation: 'needs_intervention' },
      [IN_DRONE, 'unread_drone', 'unread_account'].map((about) => reconcilersQuestion(deliveryId, about)),
    );
    await questions.keepOnly(timeline, { ...stale, interventions: stale.interventions.slice(2) }, [IN_DRONE]);
    expect(timeline.notes.map(({ patch }) => patch)).toEqual([undefined, { compensation: 'pending' }]);
  });

  it('is pending too when what its own workflow had asked about it is closed', async () => {
    const questions = new Questions(deliveryId, { areShown: false });
    const timeline = new Kept();
    const own = interventionIdOf(deliveryId, 'void_packages');
    await questions.closeForeign(timeline, seenOf({ compensation: 'needs_intervention' }, [own]));
    await questions.closeForeign(timeline, seenOf({ compensation: 'none' }, [own]));
    expect(timeline.notes.map(({ patch }) => patch)).toEqual([{ compensation: 'pending' }, undefined]);
  });

  it('does not change once it is complete: its end has been told', async () => {
    const questions = new Questions(deliveryId, { areShown: false });
    const timeline = new Kept();
    const seen = seenOf({ complete: true, compensation: 'complete' });
    await questions.ask(timeline, seen, aboutService('account'));
    await questions.keepOnly(timeline, seen, []);
    expect(timeline.notes.map(({ type, patch }) => ({ type, patch }))).toEqual([
      { type: 'delivery.intervention_opened', patch: undefined },
      { type: 'delivery.intervention_resolved', patch: undefined },
    ]);
  });
});

describe('a run that goes on for another one', () => {
  it('knows what that has asked before it has looked at anything', async () => {
    const before = new Questions(deliveryId, { areShown: false });
    await before.ask(new Kept(), seenOf({}), inDrone);
    const questions = new Questions(deliveryId, { areShown: false, asked: before.asked });
    const id = reconcilersQuestion(deliveryId, IN_DRONE);
    expect(questions.intervention(id)).toMatchObject({ kind: 'drone_down' });
    expect(questions.state.openInterventions).toEqual([id]);
  });
});

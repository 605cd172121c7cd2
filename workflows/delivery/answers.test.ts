import { describe, expect, it } from 'vitest';
import { PendingAnswers } from './answers.ts';

const answerTo = (interventionId: string, answer = 'retry') => ({
  interventionId,
  answer,
  why: 'the test says so',
  actor: { role: 'operator', id: 'jo' } as const,
});

describe('Answers that are held', () => {
  it('the one that closes its intervention is accepted, the others of that one hear what came first', () => {
    const answers = new PendingAnswers();
    const [first, second, another] = [answerTo('int_a'), answerTo('int_a', 'done'), answerTo('int_b')];
    const [winner, loser, waiting] = [answers.put(first), answers.put(second), answers.put(another)];
    expect(answers.to('int_a')).toBe(first);
    answers.close('int_a', 'operator:jo has closed it', first);
    expect(winner.settled).toMatchObject({ outcome: 'accepted' });
    expect(loser.settled).toEqual({
      outcome: 'refused',
      reason: 'intervention_not_open',
      detail: 'int_a is not open any more: operator:jo has closed it.',
    });
    expect(waiting.settled).toBeUndefined();
    expect([answers.to('int_a'), answers.to('int_b')]).toEqual([undefined, another]);
  });

  it('a retry that crosses with the success of what it would retry is refused, and closes nothing later', () => {
    const answers = new PendingAnswers();
    const retry = answers.put(answerTo('int_a'));
    answers.close('int_a', 'system has closed it with succeeded');
    expect(retry.settled).toMatchObject({ outcome: 'refused', reason: 'intervention_not_open' });
    // Should it come up again, an old answer is not its answer.
    expect(answers.to('int_a')).toBeUndefined();
  });

  it('at the end nobody is left waiting', () => {
    const answers = new PendingAnswers();
    const held = [answers.put(answerTo('int_a')), answers.put(answerTo('int_b'))];
    answers.refuseAll('the delivery has ended');
    expect(held.map((one) => one.settled?.outcome)).toEqual(['refused', 'refused']);
  });
});

/**
 * The reconciler's workflow, one for each delivery whose own workflow is gone. Here are its doors: what people answer to what it asks.
 * What it does is in reconciliation.ts.
 */
import {
  allHandlersFinished,
  condition,
  continueAsNew,
  defineUpdate,
  patched,
  setHandler,
} from '@temporalio/workflow';
import { checkResolveIntervention } from '../delivery/commands.ts';
import {
  type OperatorAnswer,
  type ReconcileInput,
  type ReconcileOutcome,
  RESOLVE_INTERVENTION_UPDATE,
  type ResolveInterventionCommand,
} from '../messages.ts';
import { ReconciliationBefore } from './before.ts';
import { examineDelivery } from './look.ts';
import { Questions } from './questions.ts';
import { Reconciliation } from './reconciliation.ts';
import { Timeline } from './timeline.ts';

const resolveIntervention = defineUpdate<OperatorAnswer, [ResolveInterventionCommand]>(
  RESOLVE_INTERVENTION_UPDATE,
);

export async function reconcile(input: ReconcileInput): Promise<ReconcileOutcome> {
  const { deliveryId, asked } = input;
  const questions = new Questions(deliveryId, { ...(asked && { asked }) });
  setHandler(resolveIntervention, (command) => questions.answer(command), {
    validator: (command) => checkResolveIntervention(questions, command),
  });
  const seen = await examineDelivery({ deliveryId });
  // What an earlier run has asked is to be closed, also where nothing else is to be done.
  const hasAsked = questions.askedAbout(seen).length > 0 && patched('looks-before-it-acts');
  if (seen.isCarried && !hasAsked) return { outcome: 'carried', undone: [] };
  const isUnknown = (seen.unread ?? []).length > 0 || hasAsked;
  if (seen.delivery?.complete !== false && seen.held.length === 0 && !isUnknown) {
    await new Timeline(deliveryId, (step) => `${deliveryId}/${step}`).tellOfTermination(seen);
    return { outcome: 'nothing_left', undone: [] };
  }
  if (!patched('the-package-is-settled-first')) return new ReconciliationBefore(input, seen).run();
  const outcome = await new Reconciliation({ deliveryId, seen, questions }).run();
  if (outcome === 'history_is_long') {
    return continueAsNew<typeof reconcile>({ deliveryId, asked: questions.asked });
  }
  await condition(allHandlersFinished);
  return outcome;
}

/** What an operator reads of a delivery in the Temporal UI, in clear: Markdown, of its workflow's current details. Pure. */
import { isFinal } from '../../services/delivery/contract/status.ts';
import type { DeliveryState } from '../messages.ts';
import type { OpenedIntervention } from './record.ts';

/** Where it stands, what it waits for, what people are asked, and the last that happened. */
export function detailsOf(state: DeliveryState, interventions: readonly OpenedIntervention[]): string {
  const reason = state.failureReason ?? state.cancellationReason;
  const lines = [
    `**${state.status.replaceAll('_', ' ')}**${reason === null ? '' : `: ${reason.replaceAll('_', ' ')}`}`,
    ...(state.waitingFor === null || isFinal(state.status)
      ? []
      : [`Waiting for ${state.waitingFor}${state.until === null ? '' : `, until ${state.until}`}`]),
    ...(state.droneId === null ? [] : [`Drone ${state.droneId} (attempt ${state.attempt})`]),
    ...(state.bookingId === null ? [] : [`Carrier booking ${state.bookingId}`]),
    ...(state.compensation === 'none' ? [] : [`Compensation ${state.compensation.replaceAll('_', ' ')}`]),
    ...interventions.map(interventionLine),
  ];
  const history = state.history.map(
    ({ at, what }) => `- ${at} ${what.replace(/^[a-z_]+/, (type) => type.replaceAll('_', ' '))}`,
  );
  return [...lines, '', ...history].join('\n\n').replaceAll('\n\n- ', '\n- ');
}

/** What a person is asked, and what may be answered. */
export function interventionLine({ id, reason, answers }: OpenedIntervention): string {
  const choices = answers.map(({ answer, effect }) => `\`${answer}\` (${effect})`).join(', ');
  return `⚠ Intervention \`${id}\`: ${reason}${choices === '' ? '' : ` Answers: ${choices}`}`;
}

/** Whose act an event is, and why, for those who read the details in the UI. */
export function orderedBy({ by, why }: Record<string, unknown> = {}): string {
  if (typeof by !== 'string') return '';
  return typeof why === 'string' ? ` by ${by}: ${why}` : ` by ${by}`;
}

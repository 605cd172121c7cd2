/** Whether what came back, or was left behind, may have: somebody or something must have stood in the way of its delivery. */
import { needsRecipient } from '../../services/delivery/contract/index.ts';
import { answersOf, type Dossier, isEndedByHand, isTerminated, ordersOf } from './dossier.ts';
import type { FlownMilestone } from './history.ts';

export function returnFaults(dossier: Dossier): string[] {
  const { delivery, asked, milestones } = dossier;
  const action = asked.requested?.undeliverableAction ?? delivery.undeliverable_action;
  return [
    ...(delivery.status === 'returned' ? cameBackFaults(dossier) : []),
    ...(delivery.left_unattended && action !== 'leave'
      ? ['it was left unattended, and its sender wants it back']
      : []),
    ...(delivery.undeliverable_reason === 'dropoff_blocked' &&
    !milestones.some(({ kind }) => kind === 'dropoff_blocked')
      ? ['its dropoff is said to have been blocked, and no drone found it so']
      : []),
    ...(delivery.undeliverable_reason === 'recipient_absent' && !needsRecipient(confirmationOf(dossier))
      ? ['its recipient is said to have been absent, and nobody had to be there']
      : []),
  ];
}

/** What had to be given as proof of delivery, as it was asked for. */
export function confirmationOf({ asked, delivery }: Dossier) {
  return asked.requested?.confirmation ?? delivery.confirmation;
}

function cameBackFaults(dossier: Dossier): string[] {
  if (isEndedByHand(dossier.delivery)) return [];
  const turned = dossier.milestones.filter(({ kind }) => kind === 'turned_back');
  // One that takes over from a drone that was on its way back is told to bring it back too: why is the first one's.
  const [first] = turned;
  return first === undefined ? ['it came back, and no drone turned round'] : turnFaults(dossier, first);
}

function turnFaults(dossier: Dossier, { detail }: FlownMilestone): string[] {
  const { delivery, milestones } = dossier;
  switch (detail['reason']) {
    case 'told_to':
      return isToldTo(dossier) ? [] : ['it was flown back, and nobody asked for that'];
    case 'dropoff_blocked':
      return milestones.some(({ kind }) => kind === 'dropoff_blocked')
        ? []
        : ['it was flown back from a dropoff that nothing blocked'];
    case 'recipient_absent':
      return needsRecipient(confirmationOf(dossier))
        ? []
        : ['it was flown back for want of a recipient whom it does not need'];
    default:
      return [
        `its drone turned round, and why is not known: ${JSON.stringify(detail['reason'])} (${delivery.undeliverable_reason ?? 'deliverable'})`,
      ];
  }
}

function isToldTo(dossier: Dossier): boolean {
  const { delivery, asked } = dossier;
  return (
    delivery.undeliverable_reason !== null ||
    asked.orders === undefined ||
    isTerminated(dossier) ||
    ordersOf(dossier, 'abort').some(({ answer }) => answer !== 'refused') ||
    (ordersOf(dossier, 'native_cancel').length > 0 &&
      answersOf(delivery).some(({ answer }) => answer === 'abort'))
  );
}

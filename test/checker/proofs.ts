/** Whether what had to be confirmed was, before the drone let it go. */
import { needsRecipient } from '../../services/delivery/contract/index.ts';
import { timeMsOf } from '../../shared/clock.ts';
import { answersOf, type Dossier } from './dossier.ts';
import { confirmationOf } from './returns.ts';

/** A drone took a photo when it let go; all else was given before it did. Unless a person says that it was handed over. */
export function proofFaults(dossier: Dossier): string[] {
  const { delivery, proofs, milestones } = dossier;
  const { status, fulfilment, confirmation_status } = delivery;
  const owed = confirmationOf(dossier);
  const byHand = answersOf(delivery).some(({ answer }) => answer === 'delivered');
  if (status !== 'delivered' || fulfilment !== 'drone' || owed === 'none' || byHand) return [];
  if (confirmation_status !== 'confirmed') return [`handed over without its ${owed}: ${confirmation_status}`];
  const given = proofs.find(({ kind, confirmedAt }) => kind === owed && confirmedAt !== null);
  if (given === undefined || given.confirmedAt === null) {
    return [`handed over for confirmed, and no ${owed} was given`];
  }
  const release = milestones.findLast(({ kind }) => kind === 'released');
  if (!needsRecipient(owed) || release === undefined) return [];
  const lateMs = timeMsOf(given.confirmedAt) - timeMsOf(release.occurredAt);
  return lateMs > 0 ? [`handed over ${Math.ceil(lateMs / 1_000)} s before its ${owed} was given`] : [];
}

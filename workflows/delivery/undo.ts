/**
 * What undoes each step, as data: it outlives a continue-as-new, so that a delivery which has waited for a month still gives
 * back what it took on its first day.
 */
import type { BodyOf } from '../../shared/http/contract.ts';
import type { accountContract } from '../../services/account/contract/index.ts';
import type { DeliveryInput } from '../messages.ts';
import type { DeliveryRecord } from './record.ts';
import { plainStep } from './steps.ts';

/** One step to undo, by the key it ran under. */
export type Undo =
  | { kind: 'void_authorization'; authorizeKey: string }
  | { kind: 'void_packages'; registerKey: string }
  | { kind: 'release_drone'; reserveKey: string }
  | { kind: 'recall_drone'; reserveKey: string }
  | { kind: 'undo_reroute'; reserveKey: string; rerouteKey: string }
  | { kind: 'cancel_booking'; bookKey: string }
  /** What a cancel comes too late for: the package is given up for lost, and the booking closed with it. */
  | { kind: 'write_off_booking'; bookKey: string }
  /** Not undone but made good: a charge that is due. */
  | { kind: 'capture_charge'; step: CaptureStep; summary: string }
  /** Made good as well: what is credited for a package that was lost. */
  | { kind: 'issue_credit_note'; step: CreditNoteStep };

export type CaptureStep = { key: string } & BodyOf<typeof accountContract, 'capture'>;
export type CreditNoteStep = { key: string } & BodyOf<typeof accountContract, 'issueCreditNote'>;

/**
 * Answers of a service that mean: it is still held. `soon`: what it waits for comes by itself, so it is asked again before a person
 * is. `a_person`: it may take until whoever holds the package lets go of it, so a person hears of it at once. A recall that finds
 * the drone `loaded` is over; whether the drone is still held then is for its release to say.
 */
const STILL_HELD: Readonly<Partial<Record<Undo['kind'], Readonly<Record<string, 'soon' | 'a_person'>>>>> = {
  recall_drone: { pending: 'soon' },
  release_drone: { loaded: 'a_person' },
  cancel_booking: { already_picked_up: 'a_person' },
};

/** Whether what a compensation found says that nothing was undone, and for whom that is. */
export function stillHeld({ kind }: Undo, outcome: string): 'soon' | 'a_person' | undefined {
  return STILL_HELD[kind]?.[outcome];
}

/** Undoes a step: one plain activity, retried without a limit. Answers what it found, for the event. */
export type Undoer = (undo: Undo) => Promise<string>;

export function undoerOf(input: DeliveryInput, record: DeliveryRecord): Undoer {
  const { accountId: account_id, deliveryId: delivery_id } = input;
  return async (undo) => {
    switch (undo.kind) {
      case 'void_authorization': {
        const key = record.key('void_authorization');
        const step = { key, authorize_key: undo.authorizeKey, account_id, delivery_id };
        return (await plainStep('voidAuthorization', step, 'undo: void the authorization')).outcome;
      }
      case 'void_packages': {
        const key = record.key('void_packages');
        const step = { key, register_key: undo.registerKey, account_id, delivery_id };
        return (await plainStep('voidPackages', step, 'undo: void the packages')).outcome;
      }
      case 'release_drone': {
        const key = record.key('release');
        const reason = `delivery ${record.status}`;
        const step = { key, reserve_key: undo.reserveKey, delivery_id, reason };
        return (await plainStep('releaseDrone', step, 'undo: release the drone')).outcome;
      }
      case 'recall_drone': {
        const key = record.key('recall');
        const reason = `delivery ${record.status}`;
        const step = { key, reserve_key: undo.reserveKey, delivery_id, reason };
        return (await plainStep('recallDrone', step, `recall the drone: ${reason}`)).outcome;
      }
      case 'undo_reroute': {
        const key = record.key('undo_reroute');
        const step = { key, reserve_key: undo.reserveKey, reroute_key: undo.rerouteKey, delivery_id };
        return (await plainStep('undoReroute', step, 'undo: fly to the dropoff before')).outcome;
      }
      case 'cancel_booking': {
        const key = record.key('cancel_booking');
        const step = { key, book_key: undo.bookKey, account_id, delivery_id };
        return (await plainStep('cancelBooking', step, 'undo: cancel the carrier’s booking')).outcome;
      }
      case 'write_off_booking': {
        const key = record.key('write_off_booking');
        const step = { key, book_key: undo.bookKey, account_id, delivery_id };
        return (await plainStep('writeOffBooking', step, 'close the carrier’s booking as lost')).outcome;
      }
      case 'capture_charge':
        return (await plainStep('capture', undo.step, undo.summary)).outcome;
      case 'issue_credit_note':
        return (await plainStep('issueCreditNote', undo.step, 'credit the account for what was lost'))
          .outcome;
    }
  };
}

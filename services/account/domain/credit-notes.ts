/** Credit notes: what issuing one answers. A delivery has one at most. */
import { Problem } from '../../../shared/errors.ts';
import type { BodyOf, Output } from '../../../shared/http/contract.ts';
import { newId } from '../../../shared/ids.ts';
import type { accountContract, CreditNote } from '../contract/index.ts';
import type { CreditNoteStore } from '../data/credit-notes.ts';

type Contract = typeof accountContract;

export function creditNotes(store: CreditNoteStore, nowMs: () => number) {
  return {
    /** @throws {Problem} `unserviceable`: no such account in this mode and currency; `idempotency-key-reused` */
    async issue(
      stepKey: string,
      body: BodyOf<Contract, 'issueCreditNote'>,
    ): Promise<Output<Contract['issueCreditNote']>> {
      const { account_id: accountId, delivery_id: deliveryId, livemode, amount, reason } = body;
      const isNew = await store.issue({
        id: newId('creditNote'),
        stepKey,
        accountId,
        deliveryId,
        livemode,
        amount,
        reason,
        nowMs: nowMs(),
      });
      const ofStep = await store.ofStep(stepKey);
      if (ofStep) {
        assertSameRequest(ofStep, body);
        return { outcome: 'issued', credit_note: ofStep };
      }
      if (isNew) throw new Error(`The credit note ${stepKey} was issued and is not found`);
      const ofDelivery = await store.ofDelivery(deliveryId);
      if (ofDelivery && ofDelivery.account_id === accountId) {
        return { outcome: 'already_issued', credit_note: ofDelivery };
      }
      throw new Problem('unserviceable', {
        reason: 'account_unknown',
        detail: `There is no account ${accountId} in this mode that is charged in ${amount.currency}.`,
      });
    },
  };
}

function assertSameRequest(issued: CreditNote, body: BodyOf<Contract, 'issueCreditNote'>): void {
  if (
    issued.delivery_id !== body.delivery_id ||
    issued.account_id !== body.account_id ||
    issued.livemode !== body.livemode ||
    issued.amount.amount !== body.amount.amount ||
    issued.amount.currency !== body.amount.currency ||
    issued.reason !== body.reason
  ) {
    throw new Problem('idempotency-key-reused', {
      detail: 'This step issued another credit note before.',
    });
  }
}

/**
 * Credit notes in the database: one for a delivery at most, whoever issues it and however often, settled by the unique indexes
 * on the step's key and on the delivery.
 */
import { isoTime } from '../../../shared/clock.ts';
import type { AccountId, CreditNoteId, DeliveryId } from '../../../shared/ids.ts';
import type { PageRequest } from '../../../shared/page.ts';
import type { Money } from '../../../shared/schemas.ts';
import type { CreditNote as CreditNoteRow, PrismaClient } from '../../../prisma/account/generated/client.ts';
import type { CreditNote } from '../contract/index.ts';

export interface IssueStep {
  id: CreditNoteId;
  stepKey: string;
  accountId: AccountId;
  deliveryId: DeliveryId;
  livemode: boolean;
  amount: Money;
  reason: CreditNote['reason'];
  nowMs: number;
}

export function creditNoteStore(prisma: PrismaClient) {
  return {
    /** Issues it, unless there is one for this key or delivery, or no such account in this mode and currency. True when this call did. */
    async issue({ amount, ...step }: IssueStep): Promise<boolean> {
      const issued = await prisma.$executeRaw`
        INSERT INTO credit_note (id, step_key, account_id, delivery_id, livemode, amount, currency, reason, created_at)
        SELECT ${step.id}, ${step.stepKey}, account.id, ${step.deliveryId}, account.livemode, ${BigInt(amount.amount)},
               account.currency, ${step.reason}, ${isoTime(step.nowMs)}::timestamptz
          FROM account
         WHERE account.id = ${step.accountId} AND account.livemode = ${step.livemode}::boolean
           AND account.currency = ${amount.currency}
        ON CONFLICT DO NOTHING`;
      return issued > 0;
    },

    async ofStep(stepKey: string): Promise<CreditNote | undefined> {
      const row = await prisma.creditNote.findUnique({ where: { stepKey } });
      return row ? creditNoteOf(row) : undefined;
    },

    async ofDelivery(deliveryId: DeliveryId): Promise<CreditNote | undefined> {
      const row = await prisma.creditNote.findUnique({ where: { deliveryId } });
      return row ? creditNoteOf(row) : undefined;
    },

    /** Newest first. */
    async page(
      { limit, before }: PageRequest<'creditNote'>,
      filter: { deliveryId?: DeliveryId; accountId?: AccountId },
    ): Promise<CreditNote[]> {
      const rows = await prisma.creditNote.findMany({
        where: { ...filter, ...(before !== undefined && { id: { lt: before } }) },
        orderBy: { id: 'desc' },
        take: limit + 1,
      });
      return rows.map(creditNoteOf);
    },
  };
}

export type CreditNoteStore = ReturnType<typeof creditNoteStore>;

function creditNoteOf(row: CreditNoteRow): CreditNote {
  return {
    id: row.id as CreditNoteId,
    step_key: row.stepKey,
    account_id: row.accountId as AccountId,
    delivery_id: row.deliveryId as DeliveryId,
    livemode: row.livemode,
    amount: { amount: Number(row.amount), currency: row.currency },
    reason: row.reason as CreditNote['reason'],
    created_at: isoTime(row.createdAt.getTime()),
  };
}

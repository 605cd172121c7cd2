/** Cancels that go to a workflow: stored before they are sent, kept with their answer. One for a delivery. */
import type { PrismaClient } from '../../../prisma/ingestion/generated/client.ts';
import type { AccountId, DeliveryId } from '../../../shared/ids.ts';
import type { CancelAnswer, CancelCommand } from '../../../workflows/messages.ts';

export interface CancelIntent {
  deliveryId: DeliveryId;
  command: CancelCommand;
  answer: CancelAnswer | null;
  attempts: number;
}

/** Stores the intent, or answers the one that was first. */
export async function storeIntent(
  database: PrismaClient,
  intent: {
    deliveryId: DeliveryId;
    accountId: AccountId;
    livemode: boolean;
    command: CancelCommand;
    createdAt: Date;
    /** From when the pump sends it, if the caller has no answer by then. */
    sendDueAt: Date;
  },
): Promise<CancelIntent> {
  const { deliveryId, accountId, livemode, command, createdAt, sendDueAt } = intent;
  await database.cancelIntent.createMany({
    data: [
      {
        deliveryId,
        accountId,
        livemode,
        command: { ...command, actor: { ...command.actor } },
        createdAt,
        sendDueAt,
      },
    ],
    skipDuplicates: true,
  });
  return findIntent(database, deliveryId);
}

export async function findIntent(database: PrismaClient, deliveryId: DeliveryId): Promise<CancelIntent> {
  const row = await database.cancelIntent.findUniqueOrThrow({
    where: { deliveryId },
    select: { command: true, answer: true, attempts: true },
  });
  return {
    deliveryId,
    command: row.command as unknown as CancelCommand,
    answer: row.answer as unknown as CancelAnswer | null,
    attempts: row.attempts,
  };
}

/** Keeps an answer, unless a final one is there already, and answers the one that is kept. */
export async function storeAnswer(
  database: PrismaClient,
  deliveryId: DeliveryId,
  answer: CancelAnswer,
): Promise<CancelAnswer> {
  await database.$executeRaw`
    UPDATE cancel_intents SET answer = ${JSON.stringify(answer)}::jsonb, send_due_at = NULL
    WHERE delivery_id = ${deliveryId} AND (answer IS NULL OR answer ->> 'outcome' = 'pending')`;
  return (await findIntent(database, deliveryId)).answer ?? answer;
}

/** Claims intents that are to be sent (again). */
export async function claimToSend(
  database: PrismaClient,
  { limit, now, leaseUntil }: { limit: number; now: Date; leaseUntil: Date },
): Promise<CancelIntent[]> {
  return database.$queryRaw<CancelIntent[]>`
    WITH due AS MATERIALIZED (
      SELECT delivery_id FROM cancel_intents
      WHERE send_due_at <= ${now}
      ORDER BY send_due_at LIMIT ${limit}
      FOR UPDATE SKIP LOCKED
    )
    UPDATE cancel_intents AS intent SET send_due_at = ${leaseUntil}, attempts = attempts + 1
    FROM due
    WHERE intent.delivery_id = due.delivery_id
    RETURNING intent.delivery_id AS "deliveryId", intent.command, intent.answer, intent.attempts`;
}

/** When it is to be sent again. Does nothing to one that was answered meanwhile. */
export async function putOffSending(
  database: PrismaClient,
  deliveryId: DeliveryId,
  dueAt: Date,
): Promise<void> {
  await database.cancelIntent.updateMany({
    where: { deliveryId, sendDueAt: { not: null } },
    data: { sendDueAt: dueAt },
  });
}

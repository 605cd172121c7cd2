/** Reschedules that go to a workflow, each under its key and kept with its answer. */
import type { PrismaClient } from '../../../prisma/ingestion/generated/client.ts';
import type { AccountId, DeliveryId } from '../../../shared/ids.ts';
import type { RescheduleAnswer, RescheduleCommand } from '../../../workflows/messages.ts';

export interface RescheduleRequest {
  command: RescheduleCommand;
  answer: RescheduleAnswer | null;
}

export async function findReschedule(
  database: PrismaClient,
  deliveryId: DeliveryId,
  requestKey: string,
): Promise<RescheduleRequest | undefined> {
  const row = await database.rescheduleRequest.findUnique({
    where: { deliveryId_requestKey: { deliveryId, requestKey } },
    select: { command: true, answer: true },
  });
  return row
    ? {
        command: row.command as unknown as RescheduleCommand,
        answer: row.answer as unknown as RescheduleAnswer | null,
      }
    : undefined;
}

/** Stores it, or answers the one that was first under its key. */
export async function storeReschedule(
  database: PrismaClient,
  request: {
    deliveryId: DeliveryId;
    requestKey: string;
    accountId: AccountId;
    livemode: boolean;
    command: RescheduleCommand;
    createdAt: Date;
  },
): Promise<RescheduleRequest> {
  const { command, deliveryId, requestKey } = request;
  await database.rescheduleRequest.createMany({
    data: [{ ...request, command: JSON.parse(JSON.stringify(command)) as object }],
    skipDuplicates: true,
  });
  return (await findReschedule(database, deliveryId, requestKey)) ?? { command, answer: null };
}

/** Keeps the answer. */
export async function storeRescheduleAnswer(
  database: PrismaClient,
  deliveryId: DeliveryId,
  requestKey: string,
  answer: RescheduleAnswer,
): Promise<void> {
  await database.rescheduleRequest.updateMany({
    where: { deliveryId, requestKey },
    data: { answer: { ...answer } },
  });
}

/** Forgets a request that could never be served: the key is free for a better one. */
export async function forgetReschedule(
  database: PrismaClient,
  deliveryId: DeliveryId,
  requestKey: string,
): Promise<void> {
  await database.rescheduleRequest.deleteMany({ where: { deliveryId, requestKey } });
}

/** Changes that go to a workflow (another pickup window, another dropoff), each under its key and kept with its answer. */
import type { PrismaClient } from '../../../prisma/ingestion/generated/client.ts';
import type { AccountId, DeliveryId } from '../../../shared/ids.ts';
import type {
  ChangeDropoffAnswer,
  ChangeDropoffCommand,
  RescheduleAnswer,
  RescheduleCommand,
} from '../../../workflows/messages.ts';

/** What a change is asked for with, and answered: the command tells which of the two it is. */
export type ChangeCommand = RescheduleCommand | ChangeDropoffCommand;
export type ChangeAnswer = RescheduleAnswer | ChangeDropoffAnswer;

export interface ChangeRequest {
  command: ChangeCommand;
  answer: ChangeAnswer | null;
}

export async function findChange(
  database: PrismaClient,
  deliveryId: DeliveryId,
  requestKey: string,
): Promise<ChangeRequest | undefined> {
  const row = await database.changeRequest.findUnique({
    where: { deliveryId_requestKey: { deliveryId, requestKey } },
    select: { command: true, answer: true },
  });
  return row
    ? {
        command: row.command as unknown as ChangeCommand,
        answer: row.answer as unknown as ChangeAnswer | null,
      }
    : undefined;
}

/** Stores it, or answers the one that was first under its key. */
export async function storeChange(
  database: PrismaClient,
  request: {
    deliveryId: DeliveryId;
    requestKey: string;
    accountId: AccountId;
    livemode: boolean;
    command: ChangeCommand;
    createdAt: Date;
  },
): Promise<ChangeRequest> {
  const { command, deliveryId, requestKey } = request;
  await database.changeRequest.createMany({
    data: [{ ...request, command: JSON.parse(JSON.stringify(command)) as object }],
    skipDuplicates: true,
  });
  return (await findChange(database, deliveryId, requestKey)) ?? { command, answer: null };
}

/** Keeps the answer. */
export async function storeChangeAnswer(
  database: PrismaClient,
  deliveryId: DeliveryId,
  requestKey: string,
  answer: ChangeAnswer,
): Promise<void> {
  await database.changeRequest.updateMany({
    where: { deliveryId, requestKey },
    data: { answer: { ...answer } },
  });
}

/** Forgets a request that could never be served: the key is free for a better one. */
export async function forgetChange(
  database: PrismaClient,
  deliveryId: DeliveryId,
  requestKey: string,
): Promise<void> {
  await database.changeRequest.deleteMany({ where: { deliveryId, requestKey } });
}

/** The secrets that a local stack makes for itself on its first start, and keeps: without them its data could not be read. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { ServicePasswords } from '../prisma/provision.ts';
import { SERVICES, type ServiceName } from '../prisma/services.ts';
import { generatePayloadKey } from '../shared/temporal/codec.ts';
import { writePrivate } from './private-file.ts';

export interface Secrets {
  databasePasswords: Record<ServiceName, ServicePasswords>;
  /** `PAYLOAD_KEYS` */
  payloadKeys: string;
  /** Signs the codec server's session cookies. */
  codecSecret: string;
  /** `ACCOUNT_KEY_SECRET` */
  accountKeySecret: string;
  /** `RECIPIENT_SECRETS` */
  recipientSecret: string;
  operatorKey: string;
  droneKey: string;
  /** By account id. */
  accountKeys: Record<string, string>;
}

/** Reads the kept secrets, makes those that are missing, and keeps them. */
export async function keptSecrets(path: string, accountIds: readonly string[]): Promise<Secrets> {
  const kept = await readKept(path);
  const secrets: Secrets = {
    databasePasswords: Object.fromEntries(
      SERVICES.map((service): [ServiceName, ServicePasswords] => [
        service,
        kept.databasePasswords?.[service] ?? { owner: random(), runtime: random() },
      ]),
    ) as Record<ServiceName, ServicePasswords>,
    payloadKeys: kept.payloadKeys ?? generatePayloadKey('k1'),
    codecSecret: kept.codecSecret ?? random(),
    accountKeySecret: kept.accountKeySecret ?? random(),
    recipientSecret: kept.recipientSecret ?? random(),
    operatorKey: kept.operatorKey ?? `dd_operator_${random()}`,
    droneKey: kept.droneKey ?? `dd_drone_${random()}`,
    accountKeys: Object.fromEntries(
      accountIds.map((id) => [id, kept.accountKeys?.[id] ?? `dd_live_${random()}`]),
    ),
  };
  await writePrivate(path, `${JSON.stringify(secrets, null, 2)}\n`);
  return secrets;
}

function random(): string {
  return randomBytes(24).toString('base64url');
}

async function readKept(path: string): Promise<Partial<Secrets>> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
  try {
    return JSON.parse(text) as Partial<Secrets>;
  } catch (cause) {
    // New ones would make the kept data unreadable: that is for a person to decide.
    throw new Error(`${path} is not readable JSON. Restore it, or remove its whole folder to begin anew.`, {
      cause,
    });
  }
}

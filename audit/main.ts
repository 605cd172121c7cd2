/**
 * `npm run audit`: what is held by deliveries that have ended or that no living workflow carries, as a table. Exit code 0 when
 * nothing is, 1 when anything is, 2 when it could not be found out. `--repair` starts the reconciler for each of them, and what was
 * lost before its first step again.
 */
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Command, InvalidArgumentError } from 'commander';
import { createServiceClients } from '../activities/index.ts';
import { explain } from '../local/progress.ts';
import { PROJECT_ROOT } from '../local/roles.ts';
import { readRolesFile } from '../local/stack-file.ts';
import { ingestionContract } from '../services/ingestion/contract/index.ts';
import { parseEnv } from '../shared/config.ts';
import { createClient } from '../shared/http/client.ts';
import { connectTemporal } from '../shared/temporal/client.ts';
import { parsePayloadKeys } from '../shared/temporal/codec.ts';
import { createDataConverter } from '../shared/temporal/data-converter.ts';
import { temporalCarriers } from './carriers.ts';
import { AuditEnvironment } from './environment.ts';
import { findOrphans, type Orphan } from './orphans.ts';
import { repair, startAgain } from './repair.ts';
import { orphanTable } from './table.ts';

const LOOK_AGAIN_MS = 1_000;

const options = new Command('npm run audit --')
  .description(
    'Finds reservations, missions, places in the line, authorizations, packages, bookings and open deliveries that no living workflow carries.',
  )
  .option('-r, --repair', 'have each delivery of them undone, or started again, and wait for it', false)
  .option('-w, --within <seconds>', 'how long to wait for the repair', positiveNumber, 120)
  .option('--json', 'print the orphans as JSON instead of a table', false)
  .option('-d, --directory <path>', 'of the stack whose addresses are taken', join(PROJECT_ROOT, '.local'))
  .addHelpText(
    'after',
    '\nAddresses and keys come from the environment (see docs/configuration.md), and for what is not set there from the stack that runs here, or ran last.',
  )
  .parse()
  .opts<{ repair: boolean; within: number; json: boolean; directory: string }>();

async function main(): Promise<void> {
  const roles = await readRolesFile(join(resolve(options.directory), 'roles.json'));
  const env = parseEnv(AuditEnvironment, { ...roles?.['worker']?.env, ...process.env });
  const services = createServiceClients({
    account: env.ACCOUNT_URL,
    package: env.PACKAGE_URL,
    drone: env.DRONE_URL,
    carrier: env.CARRIER_URL,
    delivery: env.DELIVERY_URL,
  });
  const { client, close } = connectTemporal({
    address: env.TEMPORAL_ADDRESS,
    namespace: env.TEMPORAL_NAMESPACE,
    dataConverter: createDataConverter(parsePayloadKeys(env.PAYLOAD_KEYS)),
    identity: `audit@${process.pid}`,
    tls: env.TEMPORAL_TLS,
    apiKey: env.TEMPORAL_API_KEY,
  });
  const ingestion = createClient(ingestionContract, { baseUrl: env.INGESTION_URL });
  const look = () => findOrphans(services, temporalCarriers(client, ingestion));
  try {
    let orphans = await look();
    const repairs = options.repair && orphans.length > 0;
    // A program reads one document: what is left.
    if (!repairs || !options.json) report(orphans);
    if (repairs) {
      const deliveries = await repair(client, env.TEMPORAL_TASK_QUEUE, orphans);
      say(`The reconciler is at ${deliveries.length} deliveries.`);
      const { started, refused } = await startAgain(ingestion, orphans);
      say(`${started.length} are started again.`);
      for (const { deliveryId, why } of refused) say(`${deliveryId} is not started again: ${why}`);
      const giveUpAt = performance.now() + options.within * 1000;
      while (orphans.length > 0 && performance.now() < giveUpAt) {
        await delay(LOOK_AGAIN_MS);
        orphans = await look();
      }
      report(orphans);
    }
    process.exitCode = orphans.length === 0 ? 0 : 1;
  } finally {
    await close();
    await ingestion.close();
    await Promise.all(Object.values(services).map((one: { close(): Promise<void> }) => one.close()));
  }
}

function report(orphans: readonly Orphan[]): void {
  if (options.json) console.log(JSON.stringify(orphans, null, 2));
  else if (orphans.length === 0) console.log('Nothing is orphaned.');
  else {
    console.log(orphanTable(orphans, { colour: process.stdout.isTTY }));
    console.log(
      `${orphans.length} orphaned, of ${new Set(orphans.map((one) => one.deliveryId)).size} deliveries.`,
    );
  }
}

/** Beside what is printed for a program to read. */
function say(message: string): void {
  (options.json ? console.error : console.log)(message);
}

function positiveNumber(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('It is a number greater than 0.');
  return value;
}

main().catch((error: unknown) => {
  console.error(explain(error));
  process.exitCode = 2;
});

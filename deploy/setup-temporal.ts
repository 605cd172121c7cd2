/**
 * Gives a Temporal cluster of one's own the namespace and the search attributes that deliveries need, and proves them with a
 * workflow. Safe to run again. With `--check` it only looks, and prints the exact commands for what is missing.
 */
import { Command } from 'commander';
import {
  checkNamespaceAndSearchAttributes,
  ensureNamespace,
  ensureSearchAttributes,
  probeSearchAttributes,
} from '../local/temporal/namespace.ts';
import { explain } from '../local/progress.ts';
import { parseEnv } from '../shared/config.ts';
import { connectTemporal } from '../shared/temporal/client.ts';
import { SetupTemporalEnvironment } from './setup-temporal-environment.ts';

async function main(): Promise<void> {
  const { check } = new Command('setup-temporal')
    .option('--check', 'change nothing: say what is missing, as commands', false)
    .parse()
    .opts<{ check: boolean }>();
  const env = parseEnv(SetupTemporalEnvironment);
  const target = {
    address: env.TEMPORAL_ADDRESS,
    namespace: env.TEMPORAL_NAMESPACE,
    retentionDays: env.TEMPORAL_RETENTION_DAYS,
    commandFlags: env.TEMPORAL_TLS ? '--tls' : '',
  };
  const { client, connection, close } = connectTemporal({
    address: target.address,
    namespace: target.namespace,
    ...(env.TEMPORAL_TLS && { tls: true }),
    ...(env.TEMPORAL_API_KEY !== undefined && { apiKey: env.TEMPORAL_API_KEY }),
  });
  try {
    if (!check) {
      await ensureNamespace(connection, target);
      await ensureSearchAttributes(connection, target.namespace);
      await probeSearchAttributes(client);
    }
    await checkNamespaceAndSearchAttributes(connection, target);
    console.log(`Namespace ${target.namespace} at ${target.address} has all search attributes`);
  } finally {
    await close();
  }
}

main().catch((error: unknown) => {
  console.error(explain(error));
  process.exitCode = 1;
});

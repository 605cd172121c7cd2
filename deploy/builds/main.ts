/**
 * `npm run builds`: which builds of the worker a cluster has, and which of them takes the deliveries. Exit code 0 when it did what
 * was asked; 1 when it refuses; 2 when Temporal could not be asked.
 */
import { Command, InvalidArgumentError } from 'commander';
import { Type } from 'typebox';
import { messageOf } from '../../shared/errors.ts';
import { parseEnv } from '../../shared/config.ts';
import { connectTemporal } from '../../shared/temporal/client.ts';
import { WorkerEnvironment } from '../../workers/environment.ts';
import { Builds } from './builds.ts';
import { buildTable } from './table.ts';

const { TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_TLS, TEMPORAL_API_KEY } = WorkerEnvironment.properties;
const Environment = Type.Object({
  TEMPORAL_ADDRESS,
  TEMPORAL_NAMESPACE,
  TEMPORAL_TLS,
  TEMPORAL_API_KEY,
  TEMPORAL_DEPLOYMENT_NAME: Type.String({ minLength: 1 }),
});

const program = new Command('npm run builds --')
  .description(
    'The builds of the worker deployment that TEMPORAL_DEPLOYMENT_NAME names, on the Temporal cluster of the environment.',
  )
  .addHelpText('after', '\nHow a change of the workflow is deployed: docs/deploying-workflows.md.');

program
  .command('list', { isDefault: true })
  .description('every build, what it takes and what is still on it')
  .option('--json', 'for a program to read', false)
  .action(({ json }: { json: boolean }) =>
    withBuilds(async (builds) => {
      const all = await builds.list();
      console.log(json ? JSON.stringify(all, null, 2) : buildTable(all, { colour: process.stdout.isTTY }));
    }),
  );
program
  .command('ramp <build-id> <percent>')
  .description('lets it take this share of all deliveries; 0 ends that')
  .action((buildId: string, percent: string) =>
    withBuilds(async (builds) => {
      await builds.ramp(buildId, percentOf(percent));
      console.log(`${buildId} takes ${percent} % of the deliveries.`);
    }),
  );
program
  .command('promote <build-id>')
  .description('lets it take all deliveries, new ones and those under way')
  .action((buildId: string) =>
    withBuilds(async (builds) => {
      await builds.promote(buildId);
      console.log(`${buildId} takes all deliveries.`);
    }),
  );
program
  .command('may-stop <build-id>')
  .description('whether its workers may be stopped: exit code 0 if so, 1 with the reasons if not')
  .action((buildId: string) =>
    withBuilds(async (builds) => {
      const reasons = await builds.neededFor(buildId);
      if (reasons.length === 0) console.log(`The workers of ${buildId} may be stopped.`);
      else {
        console.error(`The workers of ${buildId} must go on: ${reasons.join('; ')}.`);
        process.exitCode = 1;
      }
    }),
  );

async function withBuilds(act: (builds: Builds) => Promise<void>): Promise<void> {
  const env = parseEnv(Environment);
  const { client, close } = connectTemporal({
    address: env.TEMPORAL_ADDRESS,
    namespace: env.TEMPORAL_NAMESPACE,
    identity: `builds@${process.pid}`,
    tls: env.TEMPORAL_TLS,
    apiKey: env.TEMPORAL_API_KEY,
  });
  try {
    await act(new Builds(client, env.TEMPORAL_DEPLOYMENT_NAME));
  } finally {
    await close();
  }
}

function percentOf(text: string): number {
  const value = Number(text);
  if (!(value >= 0 && value <= 100)) throw new InvalidArgumentError('The share is a number from 0 to 100.');
  return value;
}

program.parseAsync().catch((error: unknown) => {
  console.error(messageOf(error));
  process.exitCode = 2;
});

/** `npm run histories:reach`: the lines of the workflow code that no golden history runs, for whoever is about to change them. */
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { workflowBundle } from '../../workers/bundle.ts';
import { replayDataConverter } from './histories.ts';
import { reachOf } from './reach.ts';

Runtime.install({ logger: new DefaultLogger('ERROR') });
const { errors, functions, lines } = await reachOf(
  await workflowBundle(replayDataConverter.failureConverterPath),
);
const broken = [...errors].filter(([, error]) => error !== undefined);
for (const [file, error] of broken) console.error(`${file} does not replay: ${error?.message ?? ''}`);
console.log(['Functions that no history calls:', ...functions].join('\n  '));
console.log('Lines that no history runs, of other functions:');
for (const [source, numbers] of lines) console.log(`  ${source}: ${numbers.join(', ')}`);
// The inspector's session and the replay worker's runtime hold the process.
process.exit(broken.length === 0 ? 0 : 1);

/** The simulator as a process. */
import { parseEnv } from '../shared/config.ts';
import { createLogger } from '../shared/logger.ts';
import { runRole } from '../shared/role.ts';
import { SimulatorEnvironment } from './environment.ts';
import { startSimulator } from './simulator.ts';

const logger = createLogger({ role: 'simulator' });

await runRole(logger, () => startSimulator(parseEnv(SimulatorEnvironment), logger));

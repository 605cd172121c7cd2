import { PATHS_ON_THE_REAL_SERVER } from '../paths/index.ts';
import { recordPaths } from './record-paths.ts';

/** Clock seconds per second: a flight of four minutes takes as many seconds. */
const RATE = 60;

await recordPaths(PATHS_ON_THE_REAL_SERVER, { realTimeAtRate: RATE });

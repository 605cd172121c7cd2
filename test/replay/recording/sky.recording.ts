import { PATHS_OF_THE_SKY } from '../paths/index.ts';
import { recordPaths } from './record-paths.ts';

await recordPaths(PATHS_OF_THE_SKY);

/** Starts the bare route beside the system, on the same Postgres server. */
import pg from 'pg';
import { type BenchProcess, startBenchProcess } from '../process.ts';

const DATABASE = 'bench';

/** @param postgresUrl the superuser's */
export async function startBareRoute(postgresUrl: string): Promise<BenchProcess & { url: string }> {
  const client = new pg.Client({ connectionString: postgresUrl });
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE}`);
  } finally {
    await client.end();
  }
  const url = new URL(postgresUrl);
  url.pathname = DATABASE;
  const child = await startBenchProcess('load/bare-route-main.ts', {
    BENCH_DATABASE_URL: url.href,
    LOG_LEVEL: 'warn',
  });
  if (child.url === null) throw new Error('The bare route does not listen');
  return { ...child, url: `${child.url}/bare` };
}

// Generates one Prisma client for each folder `prisma/<service>` into `prisma/<service>/generated`.
// Plain Node without the network, because `npm ci` runs it. A client whose schema has not changed is left alone.
//
//   node prisma/generate.mjs [--force] [service…]
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const prismaFolder = dirname(fileURLToPath(import.meta.url));
const prismaPackage = createRequire(import.meta.url).resolve('prisma/package.json');
const prismaVersion = JSON.parse(readFileSync(prismaPackage, 'utf8')).version;
const prismaCommand = join(dirname(prismaPackage), 'build', 'index.js');

const services = readdirSync(prismaFolder).filter((name) =>
  existsSync(join(prismaFolder, name, 'schema.prisma')),
);
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const force = process.argv.includes('--force');
const unknown = wanted.filter((name) => !services.includes(name));
if (unknown.length > 0) {
  fail(`No prisma/${unknown.join(', prisma/')} with a schema.prisma. Known: ${services.join(', ')}.`);
}

const pending = (wanted.length > 0 ? wanted : services)
  .map(describe)
  .filter((one) => force || !isCurrent(one));
await Promise.all(Array.from({ length: Math.min(availableParallelism(), pending.length) }, work));

/** Takes one service after the other from the list until none is left. */
async function work() {
  for (let next = pending.shift(); next !== undefined; next = pending.shift()) await generate(next);
}

function describe(service) {
  const schemaPath = join(prismaFolder, service, 'schema.prisma');
  const generatedFolder = join(prismaFolder, service, 'generated');
  const fingerprint = createHash('sha256')
    .update(prismaVersion)
    .update('\0')
    .update(readFileSync(schemaPath))
    .digest('hex');
  return {
    service,
    schemaPath,
    generatedFolder,
    fingerprint,
    stampPath: join(generatedFolder, '.fingerprint'),
  };
}

function isCurrent({ stampPath, fingerprint }) {
  return existsSync(stampPath) && readFileSync(stampPath, 'utf8') === fingerprint;
}

async function generate({ service, schemaPath, generatedFolder, fingerprint, stampPath }) {
  rmSync(stampPath, { force: true });
  const started = performance.now();
  const { code, output } = await runPrisma(['generate', '--schema', schemaPath, '--no-hints']);
  if (code !== 0) fail(`prisma generate failed for ${relative(process.cwd(), schemaPath)}:\n${output}`);
  if (!existsSync(generatedFolder)) fail(`${schemaPath} does not generate into ${generatedFolder}.`);
  writeFileSync(stampPath, fingerprint);
  console.log(`prisma: ${service} client generated in ${Math.round(performance.now() - started)} ms`);
}

function runPrisma(args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [prismaCommand, ...args], {
      cwd: dirname(prismaFolder),
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        // `generate` never runs the schema engine, but looks for its binary and would download it: any file will do.
        PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
        PRISMA_HIDE_UPDATE_MESSAGE: '1',
        CHECKPOINT_DISABLE: '1',
      },
    });
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output }));
  });
}

function fail(message) {
  console.error(message);
  process.exit(1);
}

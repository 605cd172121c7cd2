/** In a real browser: the Temporal UI shows what a workflow carries to an operator who logged in, and to nobody else. */
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import type { FastifyInstance } from 'fastify';
import { access, mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildCodecServer } from '../../local/codec-server.ts';
import { chooseFreePort } from '../../local/temporal/ports.ts';
import { createLogger } from '../../shared/logger.ts';
import { connectTemporal } from '../../shared/temporal/client.ts';
import { EncryptionCodec, generatePayloadKey, parsePayloadKeys } from '../../shared/temporal/codec.ts';
import { createDataConverter } from '../../shared/temporal/data-converter.ts';
import { postgresAdminUrl } from '../support/postgres.ts';
import { CLI_TIMEOUT_MS, findRealCli } from '../support/temporal-cli.ts';
import { startRealTemporal, type RealTemporal } from '../support/temporal.ts';

const OPERATOR_KEY = 'dd_operator_0123456789abcdef';
const BROWSERS = [
  process.env['CHROMIUM_PATH'],
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];
const BROWSER_FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const executablePath = await findBrowser();
const cli = executablePath === undefined ? undefined : await findRealCli();

interface Setup {
  name: string;
  env: () => NodeJS.ProcessEnv;
  possible: boolean;
}
const SETUPS: Setup[] = [
  { name: 'a built server', env: () => ({ TEMPORAL_PROVIDER: 'build' }), possible: true },
  {
    name: 'a development server',
    env: () => ({ TEMPORAL_PROVIDER: 'binary', TEMPORAL_BINARY: cli }),
    possible: cli !== undefined,
  },
];

// The refused workflow is meant to fail.
Runtime.install({ logger: new DefaultLogger('ERROR') });

describe.each(SETUPS)('the UI of $name', { timeout: 90_000 }, ({ env, possible }) => {
  let temporal: RealTemporal;
  let codecServer: FastifyInstance;
  let codecUrl: string;
  let browser: Browser;
  const isPossible = executablePath !== undefined && possible;

  beforeAll(async () => {
    if (!isPossible) return;
    const port = await chooseFreePort();
    codecUrl = `http://127.0.0.1:${port}`;
    temporal = await startRealTemporal({
      postgresAdminUrl: postgresAdminUrl(),
      env: env(),
      ui: true,
      codecEndpoint: codecUrl,
    });
    const ring = parsePayloadKeys(generatePayloadKey('k1'));
    codecServer = await buildCodecServer({
      codec: new EncryptionCodec(ring),
      namespace: temporal.namespace,
      operatorKey: OPERATOR_KEY,
      sessionSecret: 'a secret that signs the sessions',
      uiUrl: temporal.plan.uiUrl,
      uiUpstream: temporal.plan.uiUpstream,
      logger: createLogger({ role: 'codec', level: 'silent' }),
    });
    await codecServer.listen({ host: '127.0.0.1', port });
    await runWorkflows(temporal, createDataConverter(ring));
    browser = await chromium.launch({ executablePath, args: BROWSER_FLAGS });
  }, CLI_TIMEOUT_MS);

  afterAll(async () => {
    if (!isPossible) return;
    await browser.close();
    await codecServer.close();
    await temporal.stop();
  });

  const open = (page: Page, workflowId: string) =>
    page.goto(`${temporal.plan.uiUrl!}/namespaces/${temporal.namespace}/workflows/${workflowId}`);

  it('When nobody has logged in, then it shows no payload and leads to the login', async (context) => {
    if (!isPossible) context.skip('no browser, or no such server');
    const page = await browser.newPage();
    await open(page, 'greeting');
    if (temporal.plan.uiUpstream === undefined) {
      await page.getByText('Payloads are encrypted. Log in to the codec server').waitFor();
      expect(await page.locator(`a[href="${codecUrl}/login"]`).count()).toBe(1);
    } else {
      await page.waitForURL(`${codecUrl}/login`);
    }
    expect(await page.locator('body').innerText()).not.toMatch(/Ada Lovelace|A moment/);
    await page.close();
  });

  it('When an operator has logged in, then input, result, summaries and failures are readable', async (context) => {
    if (!isPossible) context.skip('no browser, or no such server');
    const page = await browser.newPage({ viewport: { width: 1400, height: 1000 } });
    await page.goto(`${codecUrl}/login`);
    await page.getByLabel('Operator key').fill(OPERATOR_KEY);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('link', { name: 'Open the Temporal UI' }).click();
    await page.waitForURL(`${temporal.plan.uiUrl!}/namespaces/${temporal.namespace}/workflows`);

    await open(page, 'greeting');
    for (const text of ['"Ada Lovelace"', '"Hello Ada Lovelace"', 'A moment']) {
      await page.getByText(text, { exact: true }).first().waitFor();
    }
    await screenshot(page, 'greeting');
    await open(page, 'refusal');
    await page.getByText('No greeting for Ada Lovelace').first().waitFor();
    await page.close();
  });
});

async function runWorkflows(
  temporal: RealTemporal,
  dataConverter: ReturnType<typeof createDataConverter>,
): Promise<void> {
  const { address, namespace } = temporal;
  const { client, close } = connectTemporal({ address, namespace, dataConverter });
  const connection = await NativeConnection.connect({ address });
  const taskQueue = 'encrypted';
  try {
    const worker = await Worker.create({
      connection,
      namespace,
      taskQueue,
      dataConverter,
      workflowsPath: fileURLToPath(new URL('./fixtures/encrypted-workflow.ts', import.meta.url)),
    });
    await worker.runUntil(async () => {
      const args: [string] = ['Ada Lovelace'];
      expect(await client.workflow.execute('greet', { taskQueue, workflowId: 'greeting', args })).toBe(
        'Hello Ada Lovelace',
      );
      const refused = client.workflow.execute('refuse', { taskQueue, workflowId: 'refusal', args });
      await expect(refused).rejects.toMatchObject({ cause: { message: 'No greeting for Ada Lovelace' } });
    });
    const history = JSON.stringify([
      await client.workflow.getHandle('greeting').fetchHistory(),
      await client.workflow.getHandle('refusal').fetchHistory(),
    ]);
    expect(history).not.toContain('Lovelace');
    expect(history).not.toContain(Buffer.from('"Ada Lovelace"').toString('base64'));
  } finally {
    await close();
    await connection.close();
  }
}

/** Set `SCREENSHOTS` to a directory to look at what the test saw. */
async function screenshot(page: Page, name: string): Promise<void> {
  const directory = process.env['SCREENSHOTS'];
  if (!directory) return;
  await mkdir(directory, { recursive: true });
  await page.screenshot({ path: `${directory}/${name}-${Date.now()}.png` });
}

async function findBrowser(): Promise<string | undefined> {
  for (const path of BROWSERS) {
    if (
      path &&
      (await access(path).then(
        () => true,
        () => false,
      ))
    )
      return path;
  }
  return undefined;
}

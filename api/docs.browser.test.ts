import type { FastifyInstance } from 'fastify';
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentLogger } from '../test/support/service.ts';
import { buildApi } from './app.ts';
import { proofImage, publicContract, trackingStream } from './contract.ts';

const NOWHERE = 'http://127.0.0.1:1';
let app: FastifyInstance;
let url: string;
let browser: Browser;

beforeAll(async () => {
  app = await buildApi({
    services: { account: NOWHERE, drone: NOWHERE, delivery: NOWHERE, ingestion: NOWHERE },
    logger: silentLogger,
  });
  url = await app.listen({ host: '127.0.0.1', port: 0 });
  browser = await launch();
});
afterAll(async () => {
  await browser.close();
  await app.close();
});

async function launch(): Promise<Browser> {
  const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
  if (!existsSync(executablePath)) {
    throw new Error(
      `This test needs Chromium. Install it (Debian: apt-get install -y chromium) or name it: CHROMIUM=/path/to/chrome (looked at ${executablePath}).`,
    );
  }
  return chromium.launch({
    executablePath,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

describe('The reference at /docs', () => {
  it('shows every operation in a browser, with nothing broken', async () => {
    const page = await browser.newPage({ viewport: { width: 1280, height: 1600 } });
    const broken: string[] = [];
    page.on('pageerror', (error) => broken.push(error.message));
    page.on('requestfailed', (request) => broken.push(request.url()));
    page.on('response', (response) => {
      if (response.status() >= 400) broken.push(`${response.status()} ${response.url()}`);
    });
    page.on('console', (message) => {
      if (message.type() === 'error') broken.push(message.text());
    });
    await page.goto(`${url}/docs`);
    await page.locator('.opblock').first().waitFor();
    expect(await page.locator('.info .title').innerText()).toContain('Drone Delivery API');
    const shown = await page.locator('.opblock .opblock-summary-path').allInnerTexts();
    // Long paths are broken with zero-width spaces.
    const paths = shown.map((path) => path.replaceAll('\u200b', '')).sort();
    const wanted = Object.values({ ...publicContract, ...trackingStream, ...proofImage })
      .map(({ path }) => path.replaceAll(/:(\w+)/g, '{$1}'))
      .sort();
    expect(paths).toEqual(wanted);

    await page.locator('#operations-Deliveries-createDelivery .opblock-summary').click();
    const operation = page.locator('#operations-Deliveries-createDelivery');
    await operation.getByText('Idempotent-Replayed').first().waitFor();
    expect(await operation.innerText()).toContain('order-1042');
    expect(await page.locator('.authorize').first().isVisible()).toBe(true);
    expect(broken).toEqual([]);
    const screenshot = process.env['DOCS_SCREENSHOT'];
    if (screenshot !== undefined) await page.screenshot({ path: screenshot, fullPage: true });
    await page.close();
  });
});

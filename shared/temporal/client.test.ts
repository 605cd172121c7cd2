import { ApplicationFailure } from '@temporalio/common';
import { createServer, type Server } from 'node:net';
import { type AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { connectTemporal, isTemporalUnavailable } from './client.ts';

describe('a lazy connection', () => {
  let server: Server | undefined;
  afterEach(() => server?.close());

  it('is made while Temporal is down, and its calls fail as unavailable', async () => {
    server = createServer();
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    server.close();
    const temporal = connectTemporal({ address: `127.0.0.1:${port}`, namespace: 'drone-delivery' });
    try {
      const call = temporal.client.workflow.start('delivery', { taskQueue: 'q', workflowId: 'w' });
      await expect(call).rejects.toSatisfy(isTemporalUnavailable);
    } finally {
      await temporal.close();
    }
  });
});

describe('isTemporalUnavailable', () => {
  it.each([
    new Error('anything'),
    ApplicationFailure.create({ message: 'refused' }),
    Object.assign(new Error('3 INVALID_ARGUMENT'), { code: 3, details: '', metadata: {} }),
    undefined,
    'text',
  ])('is false for %s', (error) => {
    expect(isTemporalUnavailable(error)).toBe(false);
  });
});

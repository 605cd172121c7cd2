import { MockActivityEnvironment } from '@temporalio/testing';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { beating } from './beating.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
});
afterEach(() => {
  vi.useRealTimers();
});

test('It beats three times within its timeout for as long as it works, and answers what the work answers', async () => {
  const environment = new MockActivityEnvironment({ heartbeatTimeoutMs: 30_000 });
  let beats = 0;
  environment.on('heartbeat', () => {
    beats += 1;
  });
  let finish: (answer: string) => void = () => undefined;
  const working = new Promise<string>((resolve) => {
    finish = resolve;
  });
  const answer = environment.run(() => beating(() => working));
  vi.advanceTimersByTime(30_000);
  expect(beats).toBe(3);
  vi.advanceTimersByTime(30_000);
  expect(beats).toBe(6);
  finish('done');
  expect(await answer).toBe('done');
  expect(vi.getTimerCount()).toBe(0);
});

test('It stops when the work fails, and without a heartbeat timeout it does not begin', async () => {
  const environment = new MockActivityEnvironment({ heartbeatTimeoutMs: 30_000 });
  await expect(environment.run(() => beating(() => Promise.reject(new Error('no'))))).rejects.toThrow('no');
  expect(vi.getTimerCount()).toBe(0);
  const work = vi.fn<() => Promise<void>>();
  const without = new MockActivityEnvironment({ activityType: 'sweepOrphans' });
  await expect(without.run(() => beating(work))).rejects.toThrow('sweepOrphans has no heartbeat timeout.');
  expect(work).not.toHaveBeenCalled();
});

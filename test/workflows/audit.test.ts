/** `npm run audit`, as a person runs it: on the real Temporal server, as a process of its own. */
import { execaNode } from 'execa';
import { tmpdir } from 'node:os';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Carriers, temporalCarriers } from '../../audit/carriers.ts';
import { type Orphan, orphansOf as orphansOfOne } from '../../audit/orphans.ts';
import { grounded, kindsOf, ordered, orphansOf } from './aftermath.ts';
import { openFrontDoor } from './front-door.ts';
import { Lab } from './lab.ts';

const RATE = 30;
let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open({ realTimeAtRate: RATE });
}, 120_000);
afterEach(() => lab.rest());
afterAll(() => lab.close());

describe('npm run audit', () => {
  async function audit(args: string[] = [], env: Record<string, string> = {}) {
    const { exitCode, stdout, stderr } = await execaNode('audit/main.ts', ['-d', tmpdir(), ...args], {
      nodeOptions: ['--import', 'tsx'],
      env: { ...lab.environment, ...env },
      reject: false,
    });
    return { exitCode, stdout, stderr };
  }

  it('prints what is orphaned and ends with 1, repairs it when told to and ends with 0', async () => {
    expect(await audit()).toMatchObject({ exitCode: 0, stdout: 'Nothing is orphaned.' });
    const delivery = await ordered(lab, 'awaiting_drone', await grounded(await lab.prepare()));
    await delivery.handle.terminate('by mistake');
    const found = await audit();
    expect(found.exitCode).toBe(1);
    for (const word of [delivery.id, delivery.scene.accountId, 'waiting place', 'terminated', '4 orphaned'])
      expect(found.stdout).toContain(word);
    const json = await audit(['--json']);
    expect(json.exitCode).toBe(1);
    expect(kindsOf(JSON.parse(json.stdout) as Orphan[])).toEqual(kindsOf(await orphansOf(lab, delivery)));
    expect(await audit(['--repair', '--within', '60'])).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/Nothing is orphaned\.$/) as string,
    });
    expect(await delivery.read()).toMatchObject({ status: 'failed', complete: true });
  }, 120_000);

  it('prints what was lost before its first step, though nothing is held for it, and has it started again', async () => {
    const door = await openFrontDoor(lab, {});
    // Temporal has taken it, and lost its data.
    const starting = vi.spyOn(lab.workflows, 'start').mockResolvedValue('started');
    const env = { INGESTION_URL: door.ingestionUrl };
    try {
      const scene = await lab.prepare();
      const delivery = await door.order(await door.callerOf(scene), scene);
      await lab.until('it is printed', async () => (await audit([], env)).stdout.includes(delivery.id));
      const { exitCode, stdout } = await audit([], env);
      expect(exitCode).toBe(1);
      for (const word of ['missing', 'accepted and started', '1 orphaned']) expect(stdout).toContain(word);
      // One that is started while it is looked at is no orphan, nor is one that ingestion has not started.
      const ofDelivery = vi.fn<Carriers['ofDelivery']>().mockResolvedValue('running');
      ofDelivery.mockResolvedValueOnce('missing');
      const isUnstarted = async () => false;
      const carriers = { ...temporalCarriers(lab.temporal), ofDelivery, isUnstarted };
      expect(await orphansOfOne(lab.clients, carriers, delivery.id)).toEqual([]);
      starting.mockRejectedValue(new Error('Temporal is down, says the test'));
      const waiting = await door.order(await door.callerOf(scene), scene);
      expect((await audit([], env)).stdout).not.toContain(waiting.id);
      starting.mockRestore();
      expect(await audit(['--repair', '--within', '60'], env)).toMatchObject({ exitCode: 0 });
      for (const one of [delivery, waiting]) {
        await one.untilComplete();
        expect(await one.read()).toMatchObject({ status: 'delivered', complete: true });
      }
    } finally {
      starting.mockRestore();
      await door.close();
    }
  }, 240_000);

  it('ends with 2 when it cannot tell', async () => {
    const { exitCode, stderr } = await audit([], { DRONE_URL: 'http://127.0.0.1:1' });
    expect(exitCode).toBe(2);
    expect(stderr).not.toBe('');
  }, 60_000);
});

/** `npm run audit`, as a person runs it: on the real Temporal server, as a process of its own. */
import { MockActivityEnvironment } from '@temporalio/testing';
import { execaNode } from 'execa';
import { tmpdir } from 'node:os';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { reconcileActivities } from '../../activities/reconcile.ts';
import { type Carriers, temporalCarriers } from '../../audit/carriers.ts';
import { deliveryOf, type Orphan, orphansOf as orphansOfOne } from '../../audit/orphans.ts';
import { repair, startAgain } from '../../audit/repair.ts';
import { ingestionContract } from '../../services/ingestion/contract/index.ts';
import { runningClock } from '../../shared/clock.ts';
import { Problem } from '../../shared/errors.ts';
import { createClient } from '../../shared/http/client.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import { grounded, kindsOf, ordered, orphansOf, reconciled } from './aftermath.ts';
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

  const ofThese = (orphans: readonly Orphan[], ids: readonly string[]) =>
    orphans.filter(({ deliveryId }) => ids.includes(deliveryId));

  it('prints what is orphaned and ends with 1, repairs it when told to and ends with 0', async () => {
    expect(await audit()).toMatchObject({ exitCode: 0, stdout: 'Nothing is orphaned.' });
    expect(await audit(['--repair', '--json'])).toMatchObject({ exitCode: 0, stdout: '[]' });
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
      const lines = stdout.split('\n');
      const ofIt = lines.findIndex((line) => line.includes(delivery.id));
      expect(lines[ofIt]).toContain('missing');
      expect(lines[ofIt + 1]).toContain('accepted and started');
      expect(lines.filter((line) => line.includes(delivery.id))).toHaveLength(1);
      // One that is started while it is looked at is no orphan, nor is one that ingestion has not started.
      const ofDelivery = vi.fn<Carriers['ofDelivery']>().mockResolvedValue('running');
      ofDelivery.mockResolvedValueOnce('missing');
      const carriers = {
        ...temporalCarriers(lab.temporal),
        ofDelivery,
        startOf: async () => 'started' as const,
      };
      expect(await orphansOfOne(lab.clients, carriers, delivery.id)).toEqual([]);
      expect(ofDelivery).toHaveBeenCalledTimes(2);
      starting.mockRejectedValue(new Error('Temporal is down, says the test'));
      const waiting = await door.order(await door.callerOf(scene), scene);
      expect((await audit([], env)).stdout).not.toContain(waiting.id);
      starting.mockRestore();
      const repaired = await audit(['--repair', '--within', '60', '--json'], env);
      expect(ofThese(JSON.parse(repaired.stdout) as Orphan[], [delivery.id, waiting.id])).toEqual([]);
      for (const one of [delivery, waiting]) {
        await one.untilComplete();
        expect(await one.read()).toMatchObject({ status: 'delivered', complete: true });
      }
    } finally {
      starting.mockRestore();
      await door.close();
    }
  }, 240_000);

  it('has nothing started again that has begun, or that ingestion does not know: it says so, and goes on', async () => {
    const door = await openFrontDoor(lab, {});
    const ingestion = createClient(ingestionContract, { baseUrl: door.ingestionUrl });
    const starting = vi.spyOn(lab.workflows, 'start').mockResolvedValue('started');
    try {
      const scene = await lab.prepare();
      const order = async () => door.order(await door.callerOf(scene), scene);
      const [begun, lost] = [await order(), await order()];
      const missing = async () => 'missing' as const;
      const carriers = { ...temporalCarriers(lab.temporal, ingestion), ofDelivery: missing };
      const orphanOf = (id: DeliveryId, known = carriers) => orphansOfOne(lab.clients, known, id);
      for (const { id } of [begun, lost]) {
        await lab.until('it is lost', async () => (await orphanOf(id)).length > 0);
      }
      const orphans = [...(await orphanOf(begun.id)), ...(await orphanOf(lost.id))];
      expect(orphans).toMatchObject([{ remedy: 'start' }, { remedy: 'start' }]);
      // Nobody would ever start it.
      const unknown = { ...carriers, startOf: async () => 'unknown' as const };
      expect(await orphanOf(lost.id, unknown)).toMatchObject([{ kind: 'delivery', remedy: 'undo' }]);
      await lab.clients.delivery.appendEvents(
        {
          params: { delivery_id: begun.id },
          body: { events: [{ type: 'delivery.noted', occurred_at: new Date().toISOString() }] },
        },
        { idempotencyKey: `${begun.id}/noted` },
      );
      expect(await orphanOf(begun.id)).toMatchObject([{ kind: 'delivery', remedy: 'undo' }]);
      starting.mockRestore();
      expect(await startAgain(ingestion, orphans)).toMatchObject({
        started: [lost.id],
        refused: [{ deliveryId: begun.id, why: expect.stringContaining('it has begun') as string }],
      });
      await lost.untilComplete();
      // What began before it was lost is left to nobody.
      expect(await repair(lab.temporal, lab.taskQueue, await orphanOf(begun.id))).toEqual([begun.id]);
      await reconciled(lab, begun);
      expect(await begun.read()).toMatchObject({ status: 'failed', complete: true });
    } finally {
      starting.mockRestore();
      await ingestion.close();
      await door.close();
    }
  }, 240_000);

  it('ends with 2 when it cannot tell', async () => {
    const { exitCode, stderr } = await audit([], { DRONE_URL: 'http://127.0.0.1:1' });
    expect(exitCode).toBe(2);
    expect(stderr).not.toBe('');
  }, 60_000);
});

describe('the sweep', () => {
  it('repairs while ingestion does not answer: it has no need of it', async () => {
    const door = await openFrontDoor(lab, {});
    const ingestion = createClient(ingestionContract, { baseUrl: 'http://127.0.0.1:1' });
    const delivery = await ordered(lab, 'awaiting_drone', await grounded(await lab.prepare()));
    const starting = vi.spyOn(lab.workflows, 'start').mockResolvedValue('started');
    try {
      const scene = await lab.prepare();
      const lost = await door.order(await door.callerOf(scene), scene);
      await lab.until('it is known', async () => (await deliveryOf(lab.clients, lost.id)) !== null);
      await delivery.handle.terminate('by mistake');
      const carriers = temporalCarriers(lab.temporal, ingestion);
      await expect(orphansOfOne(lab.clients, carriers, lost.id)).rejects.toBeInstanceOf(Problem);
      const { sweepOrphans } = reconcileActivities({
        services: lab.clients,
        ingestion,
        temporal: lab.temporal,
        taskQueue: lab.taskQueue,
        clock: runningClock(lab.server.clock, () => lab.wallNowMs),
      });
      const activity = new MockActivityEnvironment({ heartbeatTimeoutMs: 30_000 });
      const swept: Awaited<ReturnType<typeof sweepOrphans>> = await activity.run(sweepOrphans);
      expect(swept.repairing).toContain(delivery.id);
      expect(swept.forAPerson).not.toContain(lost.id);
      await reconciled(lab, delivery);
      expect(await orphansOf(lab, delivery)).toEqual([]);
    } finally {
      starting.mockRestore();
      await ingestion.close();
      await door.close();
    }
  }, 120_000);
});

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { BackupOrders, ForgetOrders, MoverOrders } from '../../src/api/index.ts';
import { openLocalKms, type KmsProvider } from '../../src/keys/index.ts';
import { backupTask } from '../../src/mover/backup-task.ts';
import { forgetTask } from '../../src/mover/forget-task.ts';
import type { MoverWork, TaskOutcome } from '../../src/mover/mover-work.ts';
import * as engine from '../../src/restic/index.ts';
import { MemoryStore, type ObjectStore } from '../../src/storage/index.ts';
import { KilledStore } from '../support/killed-store.ts';
import { backupOrders, forgetOrders } from '../support/mover-orders.ts';
import { buildTree } from '../support/seeded-tree.ts';

const GRACE_OVER = new Date('2999-01-01T00:00:00Z');

describe('a mover that dies before any of its writes', () => {
  let folder: string;
  let kms: KmsProvider;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mover-killed-'));
    buildTree(join(folder, 'data'), { seed: 9, files: 12, nasty: false });
    kms = await openLocalKms({ readKey: () => Promise.resolve(new Uint8Array(32).fill(7)), warn: () => undefined });
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const work = <Orders extends MoverOrders>(orders: Orders, tenantStore: ObjectStore): MoverWork<Orders> => ({
    orders,
    engine,
    tenantStore,
    bridgeSocket: '/nowhere',
    kms: { all: [kms], unwrapping: [kms], close: () => undefined },
    lines: { progress: () => undefined, alive: () => undefined, trouble: () => undefined, end: () => undefined },
    pulse: { waitingFor: (source) => source },
    signal: new AbortController().signal,
    now: () => GRACE_OVER,
  });
  const attempt = (number: number) => ({ attempt: { name: `attempt-${number}`, number, uid: 'the-backup' }, deadAttempts: number === 1 ? [] : ['attempt-1'] });
  const backup = (number: number): BackupOrders => backupOrders({ ...attempt(number), volumes: [{ claim: 'data', mountPath: join(folder, 'data') }] });
  const forget = (number: number): ForgetOrders => forgetOrders({ ...attempt(number), uids: ['the-backup'] });

  async function keys(store: ObjectStore, prefix: string): Promise<string[]> {
    const found: string[] = [];
    for await (const { key } of store.list(`g1/${prefix}`)) found.push(key);
    return found;
  }

  /** Runs `task` with one write more allowed each time, until it gets through; then the next attempt on what each left. */
  async function everyDeath(start: () => Promise<MemoryStore>, task: (number: number, store: ObjectStore) => Promise<TaskOutcome>, check: (store: MemoryStore, outcome: TaskOutcome) => Promise<void>): Promise<number> {
    for (let allowed = 0; allowed < 100; allowed += 1) {
      const store = await start();
      const killed = new KilledStore(store, allowed);
      const survived = await task(1, killed).then(
        () => true,
        () => false,
      );
      await check(store, await task(2, store));
      if (survived && !killed.hasFailed) return allowed;
    }
    throw new Error('it never got through');
  }

  it('leaves a Backup that the next attempt ends with one snapshot, one manifest, one key and no lock', async () => {
    const writes = await everyDeath(
      () => Promise.resolve(new MemoryStore()),
      (number, store) => backupTask(work(backup(number), store)),
      async (store, { backup: stored }) => {
        const snapshotId = stored?.snapshotId ?? '';
        expect(await keys(store, 'snapshots/')).toEqual([`g1/snapshots/${snapshotId}`]);
        expect(await keys(store, 'manifests/')).toContain(`g1/manifests/${snapshotId}/1.json`);
        expect((await keys(store, 'locks/')).length).toBe(0);
        expect(stored).toMatchObject({ complete: true, files: 12 });
      },
    );
    expect(writes).toBeGreaterThan(8);
  }, 120_000);

  it('leaves a deletion that the next attempt ends with nothing but the empty repository', async () => {
    const stored = async (): Promise<MemoryStore> => {
      const store = new MemoryStore();
      await backupTask(work(backup(1), store));
      await store.put('g1/results/the-backup-1.json', Buffer.from('{}'));
      return store;
    };
    const writes = await everyDeath(
      stored,
      (number, store) => forgetTask(work(forget(number), store)),
      async (store) => {
        expect([...(await keys(store, 'snapshots/')), ...(await keys(store, 'manifests/')), ...(await keys(store, 'locks/')), ...(await keys(store, 'results/'))]).toEqual([]);
      },
    );
    expect(writes).toBeGreaterThan(2);
  }, 120_000);

  it('is no excuse for a repository that has lost its config: backup and forget leave it as it is', async () => {
    const store = new MemoryStore();
    await backupTask(work(backup(1), store));
    await store.delete('g1/config');
    const before = await keys(store, '');

    for (const wrapped of [true, false]) {
      if (!wrapped) await store.deleteMany(before.filter((key) => key.startsWith('g1/wrappings/')));
      const left = await keys(store, '');
      const refusal = wrapped ? { code: 'Damaged', message: expect.stringContaining('lost its config') } : { code: 'NoWrapping' };
      await expect(backupTask(work(backup(2), store))).rejects.toMatchObject(refusal);
      await expect(forgetTask(work(forget(2), store))).rejects.toMatchObject(refusal);
      expect(await keys(store, '')).toEqual(left);
    }
  });
});

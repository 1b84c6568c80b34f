import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { backup, check, initRepository } from '../../src/restic/index.ts';
import { memoryPlanOf, workersWithin } from '../../src/restic/memory-plan.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';

const MIB = 2 ** 20;

afterEach(() => {
  jest.restoreAllMocks();
});

describe('how much memory the work may take', () => {
  it.each([
    { limit: 0, workers: 4, pack: 16, why: 'the kernel does not tell' },
    { limit: 2 ** 64, workers: 4, pack: 16, why: 'there is no limit' },
    { limit: 1024 * MIB, workers: 4, pack: 16, why: 'there is plenty' },
    { limit: 448 * MIB, workers: 4, pack: 16, why: 'there is just enough' },
    { limit: 256 * MIB, workers: 3, pack: 4, why: 'it is scarce' },
    { limit: 230 * MIB, workers: 2, pack: 4, why: 'it is very scarce' },
    { limit: 64 * MIB, workers: 1, pack: 4, why: 'it will hardly do' },
  ])('gives $workers threads and packs of $pack MiB where $why', ({ limit, workers, pack }) => {
    expect(memoryPlanOf(limit)).toMatchObject({ workers, packTarget: pack * MIB });
  });

  it('takes threads away as the table of blobs grows, but the last one', () => {
    expect([0, 10, 40, 120, 400].map((table) => workersWithin(256 * MIB, table * MIB))).toEqual([3, 2, 1, 1, 1]);
    expect(workersWithin(0, 400 * MIB)).toBe(4);
  });
});

describe('a backup whose memory is scarce', () => {
  it('goes on with fewer threads and loses nothing of what the others had in hand', async () => {
    // Room for two threads, until the table of blobs is looked at for the first time.
    jest.spyOn(process, 'constrainedMemory').mockReturnValue(222 * MIB);
    const directory = mkdtempSync(join(tmpdir(), 'memory-plan-'));
    for (let i = 0; i < 30; i += 1) {
      mkdirSync(join(directory, `d${i}`));
      for (let j = 0; j < 100; j += 1) writeFileSync(join(directory, `d${i}`, `f${j}`), `${i} ${j}`);
    }
    const repository = await initRepository({ store: new MemoryStore(), password: Buffer.from('a password') });
    try {
      const outcome = await backup(repository, { hostname: 'h', sources: [{ directory: directory, as: '/' }], snapshotHostname: 'h', tags: [] });
      expect(outcome).toMatchObject({ complete: true, files: 3000, warningCount: 0 });
      expect(outcome.reach.packs.length).toBeGreaterThan(2);
      expect((await check(repository, { readData: 'all' })).problems).toEqual([]);
    } finally {
      await repository.close();
      rmSync(directory, { recursive: true });
    }
  });
});

import { describe, expect, it } from '@jest/globals';
import { capacityFor } from '../../src/restic/pipeline/pack-builder.ts';
import { memoryOfProcess, packTargetFor } from '../../src/restic/pipeline/pack-size.ts';

const MiB = 1024 * 1024;
const GiB = 1024 * MiB;
const TiB = 1024 * GiB;
const least = 16 * MiB;

describe('the size of packs', () => {
  it.each([
    ['an empty repository', 0, 24 * GiB, 2, 16],
    ['just below 64 GiB', 64 * GiB - 1, 24 * GiB, 2, 16],
    ['64 GiB', 64 * GiB, 24 * GiB, 2, 32],
    ['just below 1 TiB', TiB - 1, 24 * GiB, 4, 32],
    ['1 TiB', TiB, 24 * GiB, 4, 64],
    ['100 TiB', 100 * TiB, 24 * GiB, 4, 64],
    ['a process with 256 MiB, whatever the repository', 100 * TiB, 256 * MiB, 2, 16],
    ['a process with 512 MiB and 1 TiB', TiB, 512 * MiB, 2, 32],
    ['a process with 1 GiB and 1 TiB', TiB, GiB, 2, 64],
    ['four threads in 1 GiB and 1 TiB', TiB, GiB, 4, 32],
    ['one thread, which sends as it fills', TiB, 512 * MiB, 1, 32],
  ])('for %s', (_what, repositoryBytes, memoryBytes, threads, expected) => {
    expect(packTargetFor({ least, repositoryBytes, memoryBytes, threads }) / MiB).toBe(expected);
  });

  it('never lets the packs under way take more than a quarter of the memory, but where the least is more', () => {
    for (const memoryBytes of [64 * MiB, 256 * MiB, 700 * MiB, 3 * GiB, 64 * GiB]) {
      for (const threads of [1, 2, 3, 4]) {
        const target = packTargetFor({ least, repositoryBytes: 10 * TiB, memoryBytes, threads });
        if (target > least) expect(target * 2 * threads).toBeLessThanOrEqual(memoryBytes / 4);
      }
    }
  });

  it('stays below the 128 MiB that other programs make at most, the last chunk included', () => {
    expect(capacityFor(packTargetFor({ least, repositoryBytes: Infinity, memoryBytes: Infinity, threads: 1 }))).toBeLessThan(128 * MiB);
  });

  it('goes by what this process may take', () => {
    expect(memoryOfProcess()).toBeGreaterThan(64 * MiB);
    expect(Number.isFinite(memoryOfProcess())).toBe(true);
  });
});

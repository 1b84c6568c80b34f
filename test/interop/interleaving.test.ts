/** Any interleaving of backup, forget, prune and kill leaves a repository that restic calls sound, every byte of it, and whose snapshots it restores. */
import { afterAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { initRepository } from '../../src/restic/index.ts';
import { FileStore } from '../../src/storage/index.ts';
import { compareTrees } from '../support/compare-tree.ts';
import { anySteps, makeSources, takeStep } from '../support/interleaving.ts';
import { RealRestic, scratchDirectory, testPassword } from '../support/real-restic.ts';

/** A few each time; `INTERLEAVINGS=200` for the long run. */
const numRuns = Number(process.env['INTERLEAVINGS'] ?? 8);
const scratch = scratchDirectory();
const sources = makeSources(scratch.path);
afterAll(() => scratch.remove());

interface Listed {
  readonly id: string;
}

describe('any interleaving of backup, forget, prune and kill', () => {
  it('leaves a repository that restic calls sound after each step, and whose snapshots it restores', async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(anySteps, async (steps) => {
        const place = join(scratch.path, `run-${String(run++)}`);
        mkdirSync(place);
        const restic = new RealRestic(join(place, 'repository'), place);
        const store = new FileStore(restic.repository);
        await (await initRepository({ store, password: Buffer.from(testPassword) })).close();
        for (const step of steps) {
          await takeStep(store, sources, step);
          // What the dead left locked is in its way as in everybody's.
          expect(await restic.run(['--no-lock', '--no-cache', 'check', '--read-data'])).toContain('no errors were found');
        }
        const snapshots = JSON.parse(await restic.run(['--no-lock', '--no-cache', 'snapshots', '--json'])) as readonly Listed[];
        for (const { id } of snapshots) {
          const target = join(place, id);
          await restic.run(['--no-lock', '--no-cache', 'restore', id, '--target', target]);
          const differences = sources.map((source) => compareTrees(source, join(target, 'data')));
          expect(differences).toContainEqual([]);
        }
        rmSync(place, { recursive: true });
      }),
      { numRuns, endOnFailure: true },
    );
  }, 60_000 + numRuns * 30_000);
});

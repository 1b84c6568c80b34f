/** Any interleaving of backup, forget, prune and kill leaves a repository that restic calls sound, every byte of it, and whose snapshots it restores. */
import { afterAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { initRepository } from '../../src/restic/index.ts';
import { FileStore } from '../../src/storage/index.ts';
import { compareTrees } from '../support/compare-tree.ts';
import { anySteps, makeSources, takeStep, type Step } from '../support/interleaving.ts';
import { RealRestic, scratchDirectory, testPassword } from '../support/real-restic.ts';

/** A few each time; `INTERLEAVINGS=200` for the long run. */
const numRuns = Number(process.env['INTERLEAVINGS'] ?? 8);
const scratch = scratchDirectory();
const sources = makeSources(scratch.path);
afterAll(() => scratch.remove());

/** What the dead left locked is in restic's way as in everybody's. */
const regardless = ['--no-lock', '--no-cache'];

interface Listed {
  readonly id: string;
}

async function expectSound(restic: RealRestic): Promise<void> {
  expect(await restic.run([...regardless, 'check', '--read-data'])).toContain('no errors were found');
}

async function makeRepository(name: string): Promise<{ readonly place: string; readonly restic: RealRestic; readonly store: FileStore }> {
  const place = join(scratch.path, name);
  mkdirSync(place);
  const restic = new RealRestic(join(place, 'repository'), place);
  const store = new FileStore(restic.repository);
  await (await initRepository({ store, password: Buffer.from(testPassword) })).close();
  return { place, restic, store };
}

describe('a kill before any one change of', () => {
  const whole = 1_000_000;
  const cases: readonly (readonly [string, readonly Step[], Step['action']])[] = [
    ['a first backup', [], 'backup'],
    ['a backup beside others', [{ action: 'backup', pick: 1, allowed: whole }], 'backup'],
    ['a prune', [0, 1].map((pick) => ({ action: 'backup', pick, allowed: whole })), 'prune'],
    ['a prune that repacks', [0, 1].map((pick) => ({ action: 'backup', pick, allowed: whole })), 'repack'],
  ];

  it.each(cases)('%s leaves what restic calls sound', async (name, before, action) => {
    const { place, restic, store } = await makeRepository(name.replaceAll(' ', '-'));
    for (const step of before) await takeStep(store, sources, step);
    // So that a prune has something to do: what was the older snapshot's alone goes.
    if (action !== 'backup') await takeStep(store, sources, { action: 'forget', pick: 0, allowed: whole });
    let kills = 0;
    for (let allowed = 0; ; allowed++) {
      const copy = join(place, 'copy');
      rmSync(copy, { recursive: true, force: true });
      cpSync(restic.repository, copy, { recursive: true });
      if (!(await takeStep(new FileStore(copy), sources, { action, pick: 0, allowed }))) break;
      kills++;
      await expectSound(new RealRestic(copy, place));
    }
    expect(kills).toBeGreaterThanOrEqual(action === 'prune' ? 4 : 6);
  }, 120_000);
});

describe('any interleaving of backup, forget, prune and kill', () => {
  it('leaves a repository that restic calls sound after each step, and whose snapshots it restores', async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(anySteps, async (steps) => {
        const { place, restic, store } = await makeRepository(`run-${String(run++)}`);
        for (const step of steps) {
          await takeStep(store, sources, step);
          await expectSound(restic);
        }
        const snapshots = JSON.parse(await restic.run([...regardless, 'snapshots', '--json'])) as readonly Listed[];
        for (const { id } of snapshots) {
          const target = join(place, id);
          await restic.run([...regardless, 'restore', id, '--target', target]);
          const differences = sources.map((source) => compareTrees(source, join(target, 'data')));
          expect(differences).toContainEqual([]);
        }
        rmSync(place, { recursive: true });
      }),
      { numRuns, endOnFailure: true },
    );
  }, 60_000 + numRuns * 30_000);
});

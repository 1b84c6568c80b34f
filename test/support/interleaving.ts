/** Backup, forget, prune and kill in any order: what the properties about it share, whoever judges the repository afterwards. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { backup, forget, listSnapshots, openRepository, prune, type Repository } from '../../src/restic/index.ts';
import type { ObjectStore } from '../../src/storage/index.ts';
import { KilledStore } from './killed-store.ts';
import { testPassword } from './real-restic.ts';
import { seededRandom } from './seeded-random.ts';

export interface Step {
  readonly action: 'backup' | 'forget' | 'prune' | 'repack';
  /** Which source, or which snapshot. */
  readonly pick: number;
  /** Changes to the store before the kill. */
  readonly allowed: number;
}

export const anySteps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    action: fc.constantFrom('backup' as const, 'backup' as const, 'forget' as const, 'prune' as const, 'repack' as const),
    pick: fc.nat(2),
    // Six changes make a backup; a prune that repacks has a dozen.
    allowed: fc.oneof({ weight: 2, arbitrary: fc.nat(7) }, { weight: 1, arbitrary: fc.nat(14) }, { weight: 1, arbitrary: fc.constant(1_000_000) }),
  }),
  { minLength: 2, maxLength: 8 },
);

const now = new Date('2024-06-01T02:00:00Z');

/** Three directories that have some content each and some in common, so that snapshots share packs. */
export function makeSources(parent: string): string[] {
  const sources = [0, 1, 2].map((number) => join(parent, `source-${String(number)}`));
  for (const [number, directory] of sources.entries()) {
    mkdirSync(directory);
    for (let i = 0; i < 6; i++) writeFileSync(join(directory, `own-${String(i)}`), seededRandom(number * 100 + i).bytes(20_000));
    for (let i = 0; i < 3; i++) writeFileSync(join(directory, `shared-${String(i)}`), seededRandom(1000 + i).bytes(20_000));
  }
  return sources;
}

export function openWritable(store: ObjectStore): Promise<Repository> {
  return openRepository({ store, password: Buffer.from(testPassword) });
}

/** @returns the snapshot's id */
export async function backUpSource(repository: Repository, directory: string): Promise<string> {
  const request = { hostname: 'h', sources: [{ directory, as: '/data' }], snapshotHostname: 'h', tags: [], deadHostnames: ['killed'] };
  return (await backup(repository, request)).snapshotId;
}

/** Does one step, or as much of it as comes before the kill. @returns whether it was killed */
export async function takeStep(store: ObjectStore, sources: readonly string[], { action, pick, allowed }: Step): Promise<boolean> {
  const killed = new KilledStore(store, allowed);
  const repository = await openWritable(killed);
  try {
    const snapshots = await listSnapshots(repository);
    const dead = { hostname: 'killed', deadHostnames: ['killed', 'h'] };
    const chosen = snapshots[pick % Math.max(1, snapshots.length)]?.id;
    if (action === 'backup') await backUpSource(repository, sources[pick] ?? '');
    else if (action === 'forget') await forget(repository, { ...dead, snapshots: chosen === undefined ? [] : [chosen] });
    else await prune(repository, { ...dead, graceMs: 0, now, ...(action === 'repack' ? { repackAbove: 0.1 } : {}) });
  } catch (error) {
    if (!killed.hasFailed) throw error;
  } finally {
    await repository.close();
  }
  return killed.hasFailed;
}

/** `--compression`: what restic makes of each, in repositories of both formats. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { backup, initRepository, openRepository, type BackupRequest } from '../../src/restic/index.ts';
import { openedOf } from '../../src/restic/repository/index.ts';
import { FileStore } from '../../src/storage/index.ts';
import { compareTrees } from '../support/compare-tree.ts';
import { runProcess } from '../support/program.ts';
import { RealRestic, scratchDirectory, testPassword } from '../support/real-restic.ts';
import { seededRandom } from '../support/seeded-random.ts';

const scratch = scratchDirectory();
const source = join(scratch.path, 'source');
const random = seededRandom(1);
const modes = ['auto', 'max', 'off'] as const;
const added: Record<string, number> = {};

beforeAll(() => {
  mkdirSync(source);
  for (let i = 0; i < 20; i++) writeFileSync(join(source, `text-${String(i)}`), random.text(40_000));
  writeFileSync(join(source, 'log'), random.text(3_000_000));
  writeFileSync(join(source, 'random'), random.bytes(1_500_000));
  // Samples of it do not shrink, the whole does.
  const block = random.bytes(20_000);
  writeFileSync(join(source, 'repeats'), Buffer.concat(Array.from({ length: 60 }, () => block)));
  writeFileSync(join(source, 'empty'), '');
});
afterAll(() => scratch.remove());

async function backUp(directory: string, compression: NonNullable<BackupRequest['compression']>, version: 1 | 2): Promise<{ readonly restic: RealRestic; readonly bytes: number; readonly compressed: Record<'data' | 'tree', number> }> {
  mkdirSync(directory);
  const restic = new RealRestic(join(directory, 'repository'), directory);
  const store = new FileStore(restic.repository);
  if (version === 1) await restic.run(['init', '--repository-version', '1']);
  else await (await initRepository({ store, password: Buffer.from(testPassword) })).close();
  const repository = await openRepository({ store, password: Buffer.from(testPassword) });
  const outcome = await backup(repository, { hostname: 'h', sources: [{ directory: source, as: '/' }], snapshotHostname: 'h', tags: [], compression });
  const compressed = { data: 0, tree: 0 };
  const index = await openedOf(repository).loadIndex({ reload: true });
  for (const { blobs } of index.contentsInGroups(index.packIds())) for (const blob of blobs) if (blob.uncompressedLength > 0) compressed[blob.type]++;
  await repository.close();
  return { restic, bytes: outcome.bytesAdded, compressed };
}

describe.each(modes)('a backup with compression %s', (mode) => {
  it.each([1, 2] as const)('into a repository of format %i is checked and restored by restic', async (version) => {
    const directory = join(scratch.path, `${mode}-${String(version)}`);
    const { restic, bytes, compressed } = await backUp(directory, mode, version);
    if (version === 2) added[mode] = bytes;
    expect(compressed.data > 0).toBe(version === 2 && mode !== 'off');
    expect(compressed.tree > 0).toBe(version === 2);
    expect(await restic.run(['check', '--read-data'])).toContain('no errors were found');
    const target = join(directory, 'target');
    await restic.run(['restore', 'latest', '--target', target]);
    expect(compareTrees(source, target, { holes: false })).toEqual([]);
  });
});

describe('compression', () => {
  it('saves the more, the more is asked for', () => {
    const [auto = 0, max = 0, off = 0] = modes.map((mode) => added[mode]);
    expect(max).toBeLessThan(auto * 0.95);
    expect(auto).toBeLessThan(off * 0.8);
  });

  it('is told on the command line, which refuses what it does not know', async () => {
    const directory = join(scratch.path, 'command-line');
    mkdirSync(directory);
    const restic = new RealRestic(join(directory, 'repository'), directory);
    await restic.run(['init']);
    const access = ['--repository', `file://${restic.repository}`, '--secret-key-file', join(directory, 'password')];
    expect(await runProcess(['backup', '--source', source, '--compression', 'best', ...access])).toMatchObject({ status: 2, stderr: expect.stringMatching(/--compression.*auto, max or off/) });
    const { status, stdout } = await runProcess(['backup', '--source', source, '--compression', 'off', '--json', ...access]);
    expect(status).toBe(0);
    const summary = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as { readonly bytesAdded: number };
    expect(summary.bytesAdded).toBeGreaterThan(readFileSync(join(source, 'log')).length);
    expect(await restic.run(['check', '--read-data'])).toContain('no errors were found');
  });
});

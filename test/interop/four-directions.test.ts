/** Each of this engine and restic backs the nastiest tree up, and each restores it, on a file system that takes large attributes and any time. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { byteString } from '../../src/restic/format/byte-string.ts';
import { openLibc } from '../../src/restic/fs/libc.ts';
import { backup, initRepository, openRepository, restore } from '../../src/restic/index.ts';
import { FileStore } from '../../src/storage/index.ts';
import { compareTrees } from '../support/compare-tree.ts';
import { RealRestic, testPassword } from '../support/real-restic.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { buildTree } from '../support/seeded-tree.ts';

// tmpfs: ext4 has 4 KiB for all attributes of a file, and no time before 1901.
const base = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'tenant-backup-test-'));
const source = join(base, 'source');
const password = (): Buffer => Buffer.from(testPassword);

beforeAll(() => {
  buildTree(source, { seed: 31, files: 100 });
  const libc = openLibc();
  const root = openSync(source, 'r');
  closeSync(openSync(join(source, 'large-attribute'), 'w'));
  libc.setXattrAt(root, byteString('large-attribute'), byteString('user.large'), seededRandom(60).bytes(60_000));
  closeSync(openSync(join(source, 'time-1700'), 'w'));
  libc.setTimesAt(root, byteString('time-1700'), { seconds: -8_520_336_000, nanoseconds: 5 }, { seconds: -8_520_336_000, nanoseconds: 5 });
  // In another directory than its first name, and one level deeper.
  libc.linkAt(root, byteString('large-attribute'), openSync(join(source, 'files'), 'r'), byteString('linked-across'));
  closeSync(root);
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

describe.each(['us', 'restic'])('what %s backed up', (writer) => {
  const place = join(base, writer);
  const repository = join(place, 'repository');

  beforeAll(async () => {
    mkdirSync(place);
    if (writer === 'restic') {
      const restic = new RealRestic(repository, place);
      await restic.run(['init']);
      await restic.run(['backup', '.'], source);
      return;
    }
    const ours = await initRepository({ store: new FileStore(repository), password: password() });
    expect((await backup(ours, { hostname: 'h', sources: [{ directory: source, as: '/' }], snapshotHostname: 'h', tags: [] })).warnings).toEqual([]);
    await ours.close();
  });

  it('is restored by us without a difference', async () => {
    const opened = await openRepository({ store: new FileStore(repository), password: password(), readOnly: true });
    const outcome = await restore(opened, { snapshot: 'latest', target: join(place, 'ours') });
    await opened.close();
    expect(outcome).toMatchObject({ complete: true, warnings: [] });
    expect(compareTrees(source, join(place, 'ours'))).toEqual([]);
  });

  it('is restored by restic without a difference', async () => {
    await new RealRestic(repository, place).run(['restore', 'latest', '--target', join(place, 'theirs')]);
    // Debian's restic (0.14) cannot write holes yet.
    expect(compareTrees(source, join(place, 'theirs'), { holes: false })).toEqual([]);
  });
});

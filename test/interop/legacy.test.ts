/** Repositories as other versions of restic left them: each is read, checked and restored by us, and by the real restic to the same tree. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { lstatSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { backup, check, forget, initRepository, listSnapshots, openRepository, prune, restore, type Repository } from '../../src/restic/index.ts';
import { FileStore } from '../../src/storage/index.ts';
import { compareTrees } from '../support/compare-tree.ts';
import { idOf, LegacyRepository } from '../support/legacy-repository.ts';
import { RealRestic, scratchDirectory, testPassword } from '../support/real-restic.ts';
import { buildTree } from '../support/seeded-tree.ts';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

function place(name: string): { readonly path: string; readonly base: string; readonly restic: RealRestic } {
  const base = join(scratch.path, name);
  mkdirSync(base);
  const path = join(base, 'repository');
  return { path, base, restic: new RealRestic(path, base) };
}

function open(path: string, password = testPassword): Promise<Repository> {
  return openRepository({ store: new FileStore(path), password: Buffer.from(password) });
}

function backUp(repository: Repository, directory: string): Promise<unknown> {
  return backup(repository, { hostname: 'here', sources: [{ directory, as: '/data' }], snapshotHostname: 'h', tags: [] });
}

async function expectSound(path: string): Promise<void> {
  const repository = await open(path);
  expect((await check(repository, { readData: 'all' })).problems).toEqual([]);
  await repository.close();
}

/** What restic's check says though nothing is wrong: that files without content once had `null` for a list. Its restore does not mind. */
const KNOWN = /^(Error: Command failed|error for tree|Fatal: repository contains errors$|.*has nil blob list$|The repository is damaged and must be repaired\.|$)/;
/** What restic 0.19 has given up: the index form of 2015, and directories without entries that have `null` for a list. */
const GIVEN_UP = /cannot unmarshal array into Go value of type index|^The repository index is damaged and must be repaired|error decoding tree: expected \[, got <nil>/;

/** @param isOldest - whether it is in forms that newer versions of restic refuse */
async function expectSoundForRestic(restic: RealRestic, isOldest: boolean): Promise<void> {
  const complaint = await restic.run(['--no-cache', 'check', '--read-data']).then(() => '', (error: unknown) => String(error));
  expect(complaint.split('\n').filter((line) => !KNOWN.test(line) && !(isOldest && GIVEN_UP.test(line)))).toEqual([]);
}

function bytes(text: string): Buffer {
  return Buffer.from(text, 'utf8');
}

const small = bytes('the content of a file\n');
const large = randomBytes(300_000);
const nodes = {
  // As restic 0.1 wrote them: no atime of its own, no inode, no links, `content` of null for what is empty; times with an offset.
  empty: { name: 'empty', type: 'file', mode: 0o644, mtime: '2015-01-02T03:04:05+01:00', atime: '2015-01-02T03:04:05+01:00', ctime: '2015-01-02T03:04:05+01:00', uid: 0, gid: 0, content: null },
  bare: { name: 'bare', type: 'file', mode: 0o600, mtime: '1969-12-31T23:59:58.5-07:30', uid: 1000, gid: 0, user: 'someone', size: small.length, content: [idOf(small)] },
  owner: { name: 'owner-only-uid', type: 'file', mode: 0o640, mtime: '2016-02-29T00:00:00Z', atime: '0001-01-01T00:00:00Z', ctime: '0001-01-01T00:00:00Z', uid: 33, gid: 0, size: small.length, links: 1, content: [idOf(small)] },
  twice: { name: 'twice', type: 'file', mode: 0o444, mtime: '2017-06-07T08:09:10.000000001Z', uid: 0, gid: 0, size: large.length * 2 + small.length, content: [idOf(large), idOf(small), idOf(large)], unknown_field: { of: ['the', 'future'] } },
  setuid: { name: 'setuid', type: 'file', mode: 0o755 + 2 ** 23, mtime: '2017-06-07T08:09:10Z', uid: 0, gid: 0, size: 0, content: [] },
  link: { name: 'link', type: 'symlink', mode: 2 ** 27 + 0o777, mtime: '2018-01-01T00:00:00Z', uid: 0, gid: 0, linktarget: 'else/where', content: null },
  fifo: { name: 'pipe', type: 'fifo', mode: 2 ** 25 + 0o620, mtime: '2018-01-01T00:00:00Z', uid: 0, gid: 0, content: null },
  device: { name: 'null', type: 'chardev', mode: 2 ** 26 + 2 ** 21 + 0o666, mtime: '2018-01-01T00:00:00Z', uid: 0, gid: 0, device: 259, content: null },
  attributes: { name: 'attributes', type: 'file', mode: 0o644, mtime: '2018-01-01T00:00:00Z', uid: 0, gid: 0, extended_attributes: [{ name: 'user.old', value: 'b2xk' }, { name: 'user.none', value: null }], content: null },
} as const;
/** What `JSON.stringify` cannot say: whole 64 bits, names that are not UTF-8, white space. */
const rawNodes = [
  `{"name":"inode-64","type":"file","mode":420,"mtime":"2019-01-01T00:00:00Z","uid":0,"gid":0,"inode":18446744073709551615,"device_id":9223372036854775809,"size":${String(small.length)},"links":1,"content":["${idOf(small)}"]}`,
  String.raw`{"name":"invalid-\\xff\\xfe-utf8","type":"file","mode":420,"mtime":"2019-01-01T00:00:00Z","uid":0,"gid":0,"content":null}`,
  String.raw`{"name":"odd-\\\"quotes\\\"-\\t-\\u00e4-\\\\","type":"file","mode":420,"mtime":"2019-01-01T00:00:00Z","uid":0,"gid":0,"content":null}`,
];

function treeOf(entries: readonly object[], raw: readonly string[] = []): Buffer {
  return bytes(`{"nodes":\n [ ${[...entries.map((entry) => JSON.stringify(entry)), ...raw].join(' ,\n')} ]}`);
}

const shared = treeOf([nodes.empty, nodes.bare]);
const noNodes = bytes('{"nodes":null}');
const emptyTree = bytes('{"nodes":[]}\n');
const rootWith = (ofNothing: Buffer): Buffer => treeOf(
  [
    nodes.attributes, nodes.bare,
    { name: 'dir-a', type: 'dir', mode: 2 ** 31 + 0o755, mtime: '2015-01-02T03:04:05Z', uid: 0, gid: 0, content: null, subtree: idOf(shared) },
    { name: 'dir-b', type: 'dir', mode: 2 ** 31 + 2 ** 20 + 0o777, mtime: '2015-01-02T03:04:06Z', uid: 0, gid: 0, subtree: idOf(shared) },
    { name: 'dir-empty', type: 'dir', mode: 2 ** 31 + 0o700, mtime: '2015-01-02T03:04:07Z', uid: 0, gid: 0, subtree: idOf(emptyTree) },
    { name: 'dir-null', type: 'dir', mode: 2 ** 31 + 0o700, mtime: '2015-01-02T03:04:07Z', uid: 0, gid: 0, subtree: idOf(ofNothing) },
    nodes.empty, nodes.link, nodes.device, nodes.owner, nodes.fifo, nodes.setuid, nodes.twice,
  ],
  rawNodes,
);

describe.each([
  [1, 'long ago', false],
  [2, 'long ago', false],
  [1, 'in 2015', true],
  [2, 'in 2015', true],
] as const)('a repository of format %i that was written %s', (version, when, isOldest) => {
  const { path, base, restic } = place(`legacy-${String(version)}-${when}`);
  /** What restic restores of the same tree in forms that each version of it reads. */
  const theirs = join(scratch.path, `theirs-${String(version)}`);
  const root = rootWith(isOldest ? noNodes : emptyTree);

  it('is made of mixed packs and superseded indexes', async () => {
    const legacy = new LegacyRepository(new FileStore(path), version);
    await legacy.init();
    const mixed = await legacy.pack([{ type: 'data', bytes: small }, { type: 'tree', bytes: shared }, { type: 'data', bytes: large }]);
    const trees = await legacy.pack([{ type: 'tree', bytes: emptyTree }, ...(isOldest ? [{ type: 'tree', bytes: noNodes } as const] : []), { type: 'tree', bytes: root }]);
    // The same blobs once more, as two backups at a time left them.
    const again = await legacy.pack([{ type: 'tree', bytes: shared }, { type: 'data', bytes: small }]);
    const first = await legacy.index([mixed]);
    await legacy.index([mixed, trees], [first, '00'.repeat(32)]);
    await (isOldest ? legacy.oldIndex([again]) : legacy.index([again]));
    await legacy.snapshot(idOf(root));
    await expectSoundForRestic(restic, isOldest);
  });

  it('passes our check of every bit', () => expectSound(path));

  it('is restored by us and by restic to the same tree', async () => {
    if (!isOldest) await restic.run(['restore', 'latest', '--target', theirs]);
    const repository = await open(path);
    const outcome = await restore(repository, { snapshot: 'latest', target: join(base, 'ours') });
    await repository.close();
    expect(outcome).toMatchObject({ complete: true, warnings: [] });
    expect(compareTrees(theirs, join(base, 'ours'), { holes: false })).toEqual([]);
    const found = readdirSync(join(base, 'ours'), { encoding: 'latin1' });
    expect(found).toHaveLength(16);
    expect(found).toContain('invalid-\xff\xfe-utf8');
    expect(readFileSync(join(base, 'ours', 'twice'))).toEqual(Buffer.concat([large, small, large]));
    expect(lstatSync(join(base, 'ours', 'setuid')).mode & 0o7777).toBe(0o4755);
    expect(lstatSync(join(base, 'ours', 'bare'), { bigint: true }).mtimeNs).toBe(26_998_500_000_000n);
  });

  it('is the parent of a backup of ours, and sound after a prune of ours', async () => {
    const source = join(base, 'source');
    mkdirSync(source);
    writeFileSync(join(source, 'bare'), small);
    const repository = await open(path);
    const [parent] = await listSnapshots(repository);
    await backup(repository, { hostname: 'here', sources: [{ directory: source, as: '/legacy' }], snapshotHostname: 'h', tags: [], parent: parent?.id });
    await prune(repository, { hostname: 'here', graceMs: 0, now: new Date(), repackAbove: 0 });
    await repository.close();
    await expectSoundForRestic(restic, isOldest);
    await expectSound(path);
    const after = await open(path);
    await restore(after, { snapshot: parent?.id ?? '', target: join(base, 'after') });
    await after.close();
    expect(compareTrees(theirs, join(base, 'after'), { holes: false })).toEqual([]);
  });
});

describe('several keys and several index files', () => {
  const second = 'another password of tests, no secret';

  it.each(['restic', 'us'])('of a repository that %s made open it, each by itself, until one is removed', async (maker) => {
    const { path, base, restic } = place(`keys-${maker}`);
    if (maker === 'restic') await restic.run(['init']);
    else await (await initRepository({ store: new FileStore(path), password: Buffer.from(testPassword) })).close();
    const newPassword = join(base, 'second');
    writeFileSync(newPassword, second);
    await restic.run(['key', 'add', '--new-password-file', newPassword]);
    expect(readdirSync(join(path, 'keys'))).toHaveLength(2);
    const source = join(base, 'source');
    buildTree(source, { seed: 21, files: 40, nasty: false });
    for (const password of [testPassword, second]) {
      const repository = await open(path, password);
      writeFileSync(join(source, 'changed'), password);
      await backUp(repository, source);
      writeFileSync(join(source, 'changed'), `${password} again`);
      await restic.run(['backup', '.'], source);
      await repository.close();
    }
    await expect(open(path, 'neither')).rejects.toMatchObject({ code: 'WrongKey' });
    expect(readdirSync(join(path, 'index')).length).toBeGreaterThanOrEqual(4);
    await expectSound(path);
    const own = (await restic.run(['key', 'list'])).split('\n').find((line) => line.startsWith('*'))?.slice(1, 9) ?? '';
    writeFileSync(join(base, 'password'), second);
    await restic.run(['key', 'remove', own]);
    await expect(open(path)).rejects.toMatchObject({ code: 'WrongKey' });
    const left = await open(path, second);
    const snapshots = await listSnapshots(left);
    expect(snapshots).toHaveLength(4);
    for (const [number, { id, paths }] of snapshots.entries()) {
      writeFileSync(join(source, 'changed'), `${number < 2 ? testPassword : second}${paths[0] === '/data' ? '' : ' again'}`);
      const target = join(base, `target-${String(number)}`);
      await restore(left, { snapshot: id, target, ...(paths[0] === '/data' ? { subtree: '/data' } : {}) });
      expect(compareTrees(source, target).filter((line) => !line.startsWith('/changed: mtime'))).toEqual([]);
    }
    await forget(left, { hostname: 'here', snapshots: snapshots.slice(0, 2).map(({ id }) => id) });
    await left.close();
    expect(await restic.run(['check', '--read-data'])).toContain('no errors were found');
  });
});

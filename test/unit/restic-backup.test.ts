import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, closeSync, linkSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, symlinkSync, truncateSync, utimesSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { backup, findParent, initRepository, listSnapshots, resolveSnapshot, type BackupRequest, type Repository } from '../../src/restic/index.ts';
import { Libc } from '../../src/restic/fs/libc.ts';
import { textOf } from '../../src/restic/format/index.ts';
import { openedOf } from '../../src/restic/repository/index.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';

let directory: string;
let store: MemoryStore;
let repository: Repository;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'backup-test-'));
  store = new MemoryStore();
  repository = await initRepository({ store, password: Buffer.from('secret') });
});

afterEach(async () => {
  await repository.close();
  rmSync(directory, { recursive: true });
});

function request(change: Partial<BackupRequest> = {}): BackupRequest {
  return { hostname: 'attempt', snapshotHostname: 'tenant', tags: ['policy=p'], sources: [{ directory, as: '/volumes/data' }], ...change };
}

/** Every path of a snapshot with what the repository has for it, files by the hash of their content. */
async function contentsOf(snapshot: string): Promise<Map<string, string>> {
  const opened = openedOf(repository);
  const found = new Map<string, string>();
  async function visit(tree: string, path: string): Promise<void> {
    for (const node of (await opened.loadTree(tree)).nodes) {
      const here = `${path}/${textOf(node.name)}`;
      if (node.subtree !== undefined) await visit(node.subtree, here);
      else if (node.type !== 'file') found.set(here, node.type);
      else {
        const hash = createHash('sha256');
        let size = 0;
        for (const id of node.content ?? []) {
          const blob = await opened.loadBlob('data', id);
          size += blob.length;
          hash.update(blob);
        }
        expect(size).toBe(node.size ?? 0);
        found.set(here, hash.digest('hex'));
      }
    }
  }
  await visit((await resolveSnapshot(repository, snapshot)).tree, '');
  return found;
}

function sha256(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex');
}

function write(path: string, content: Uint8Array | string): void {
  mkdirSync(join(directory, path, '..'), { recursive: true });
  writeFileSync(join(directory, path), content);
}

describe('a backup', () => {
  it.each([
    ['ENOENT', /link was removed while the backup ran/],
    ['EINVAL', /link cannot be read \(EINVAL\); it is missing from this backup/],
  ])('goes on without a symbolic link that is gone, or none any more, once it is read (%s)', async (code, words) => {
    write('file', 'content');
    symlinkSync('file', join(directory, 'link'));
    const spy = jest.spyOn(Libc.prototype, 'readLinkAt').mockImplementation(() => {
      throw Object.assign(new Error(code), { code });
    });
    const outcome = await backup(repository, request()).finally(() => {
      spy.mockRestore();
    });
    expect(outcome.warnings.map(({ message }) => message)).toEqual([expect.stringMatching(words)]);
    expect([...(await contentsOf(outcome.snapshotId)).keys()]).toEqual(['/volumes/data/file']);
    expect([...(await contentsOf((await backup(repository, request({ parent: outcome.snapshotId }))).snapshotId)).keys()]).toContain('/volumes/data/link');
  });

  it('has every file under the path that the snapshot shows, whatever its size', async () => {
    const files: Record<string, Buffer> = {
      empty: Buffer.alloc(0), one: Buffer.from('1'), 'a/text': Buffer.alloc(700_000, 'some text '), 'a/b/random': randomBytes(3_000_000),
      zeros: Buffer.alloc(20_000_000), 'large.bin': Buffer.concat([randomBytes(40_000_000), Buffer.alloc(40_000_000, 'x')]),
    };
    for (const [path, content] of Object.entries(files)) write(path, content);
    symlinkSync('one', join(directory, 'link'));

    const outcome = await backup(repository, request());

    const expected = new Map(Object.entries(files).map(([path, content]) => [`/volumes/data/${path}`, sha256(content)]));
    expect(await contentsOf(outcome.snapshotId)).toEqual(expected.set('/volumes/data/link', 'symlink'));
    expect(outcome).toMatchObject({ complete: true, files: 6, directories: 4, warningCount: 0 });
    expect(outcome.bytesProcessed).toBe(Object.values(files).reduce((sum, { length }) => sum + length, 0));
  });

  it('made again of unchanged files reads none and adds nothing', async () => {
    for (let i = 0; i < 300; i += 1) write(`d${i % 7}/f${i}`, `content ${i}`);
    const first = await backup(repository, request());

    const parent = await findParent(repository, { tags: ['policy=p'], paths: ['/volumes/data'] });
    const second = await backup(repository, request({ parent }));

    expect(parent).toBe(first.snapshotId);
    expect(second).toMatchObject({ filesUnchanged: 300, bytesAdded: 0, parent: first.snapshotId });
    expect((await resolveSnapshot(repository, second.snapshotId)).tree).toBe((await resolveSnapshot(repository, first.snapshotId)).tree);
    expect(new Set(second.reach.packs.map(({ id }) => id))).toEqual(new Set(first.reach.packs.map(({ id }) => id)));
    expect(second.reach.indexes).toEqual(first.reach.indexes);
  });

  it('takes up what changed, what came and what went', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'x/1', 'x/2']) write(name, name);
    const { snapshotId: parent } = await backup(repository, request());
    write('b', 'changed');
    write('bb', 'new');
    write('x/3', 'three');
    rmSync(join(directory, 'c'));
    rmSync(join(directory, 'x/1'));

    const outcome = await backup(repository, request({ parent }));

    const expected = { a: 'a', b: 'changed', bb: 'new', d: 'd', 'x/2': 'x/2', 'x/3': 'three' };
    expect(await contentsOf(outcome.snapshotId)).toEqual(new Map(Object.entries(expected).map(([path, content]) => [`/volumes/data/${path}`, sha256(content)])));
    expect(outcome.filesUnchanged).toBe(3);
  });

  it('sees a change of mode alone, and by ctime a change that was hidden from mtime', async () => {
    write('a', 'same');
    write('b', 'old!');
    utimesSync(join(directory, 'b'), 1000, 1000);
    const { snapshotId: parent } = await backup(repository, request());
    chmodSync(join(directory, 'a'), 0o600);
    write('b', 'new!');
    utimesSync(join(directory, 'b'), 1000, 1000);

    const careful = await backup(repository, request({ parent }));
    const careless = await backup(repository, request({ parent, ignoreInodeAndCtime: true }));

    expect((await contentsOf(careful.snapshotId)).get('/volumes/data/b')).toBe(sha256('new!'));
    expect((await contentsOf(careless.snapshotId)).get('/volumes/data/b')).toBe(sha256('old!'));
    expect(careful.filesUnchanged).toBe(0);
    expect(careless.filesUnchanged).toBe(2);
  });

  it('stores a chunk once, in whichever files and threads it turns up', async () => {
    const content = randomBytes(2_000_000);
    for (let i = 0; i < 40; i += 1) write(`copy${i}`, content);

    const outcome = await backup(repository, request());

    expect(outcome.bytesAdded).toBeGreaterThan(content.length);
    expect(outcome.bytesAdded).toBeLessThan(content.length + 20_000);
  });

  it('reads no holes: a sparse file of 100 GiB takes seconds and its data is where it was', async () => {
    const path = join(directory, 'sparse');
    writeFileSync(path, '');
    truncateSync(path, 100 * 2 ** 30);
    const descriptor = openSync(path, 'r+');
    writeSync(descriptor, 'here', 33 * 2 ** 30 + 5);
    closeSync(descriptor);

    const outcome = await backup(repository, request());

    expect(outcome).toMatchObject({ complete: true, bytesProcessed: 100 * 2 ** 30 });
    expect(outcome.bytesAdded).toBeLessThan(200_000);
    expect(outcome.durationMs).toBeLessThan(30_000);
  });

  it('reads a smaller sparse file as what it is', async () => {
    const path = join(directory, 'sparse');
    writeFileSync(path, randomBytes(1_000_001));
    truncateSync(path, 90_000_000);
    const descriptor = openSync(path, 'r+');
    writeSync(descriptor, 'in the middle', 50_000_123);
    closeSync(descriptor);

    const outcome = await backup(repository, request());

    expect((await contentsOf(outcome.snapshotId)).get('/volumes/data/sparse')).toBe(sha256(readFileSync(path)));
  });

  it('leaves out what the globs exclude and tells of several sources in one snapshot', async () => {
    const other = mkdtempSync(join(tmpdir(), 'backup-test-'));
    try {
      write('keep', '1');
      write('cache/x', '2');
      writeFileSync(join(other, 'y'), '3');
      linkSync(join(other, 'y'), join(other, 'z'));
      const sources = [{ directory: other, as: '/volumes/b' }, { directory, as: '/volumes/a' }];

      const outcome = await backup(repository, request({ sources, excludes: ['cache'] }));

      expect([...(await contentsOf(outcome.snapshotId)).keys()]).toEqual(['/volumes/a/keep', '/volumes/b/y', '/volumes/b/z']);
      expect((await listSnapshots(repository))[0]).toMatchObject({ paths: ['/volumes/a', '/volumes/b'], hostname: 'tenant', summary: { files_new: 3 } });
    } finally {
      rmSync(other, { recursive: true });
    }
  });

  it('of a source that is not there fails with its path, and leaves no lock', async () => {
    const sources = [{ directory: '/nowhere/at/all', as: '/volumes/data' }];
    await expect(backup(repository, request({ sources }))).rejects.toMatchObject({ code: 'SourceMissing', message: expect.stringContaining('/nowhere/at/all') });
    for await (const { key } of store.list('locks/')) throw new Error(`${key} was left behind`);
  });

  it('that is stopped ends as Aborted, leaves no lock, and the next one completes', async () => {
    for (let i = 0; i < 30; i += 1) write(`f${i}`, randomBytes(3_000_000));
    const stop = new AbortController();
    const stopped = backup(repository, request({ signal: stop.signal, onProgress: ({ bytesDone }) => { if (bytesDone > 0) stop.abort(); } }));

    await expect(stopped).rejects.toMatchObject({ code: 'Aborted', retryable: true });
    for await (const { key } of store.list('locks/')) throw new Error(`${key} was left behind`);

    const outcome = await backup(repository, request());
    expect((await contentsOf(outcome.snapshotId)).size).toBe(30);
  });

  it('whose store fails tells so and leaves no snapshot', async () => {
    write('a', randomBytes(1000));
    const put = store.put.bind(store);
    store.put = (key, body, options) => (key.startsWith('data/') ? Promise.reject(new Error('the store is full')) : put(key, body, options));

    await expect(backup(repository, request())).rejects.toThrow('the store is full');
    expect(await listSnapshots(repository)).toEqual([]);
  });

  it('reports progress up to its totals', async () => {
    write('a', randomBytes(1000));
    const seen: number[] = [];
    await backup(repository, request({ onProgress: ({ bytesDone, bytesTotal }) => seen.push(bytesDone / (bytesTotal ?? 1)) }));
    expect(seen.at(-1)).toBe(1);
  });
});

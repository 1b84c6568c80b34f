import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { backup, check, initRepository, listSnapshots, ls, restore, type BackupRequest, type Repository, type StreamSource } from '../../src/restic/index.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { seededRandom } from '../support/seeded-random.ts';

let directory: string;
let store: MemoryStore;
let repository: Repository;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'stream-test-'));
  store = new MemoryStore();
  repository = await initRepository({ store, password: Buffer.from('secret') });
});

afterEach(async () => {
  await repository.close();
  rmSync(directory, { recursive: true });
});

function request(change: Partial<BackupRequest> = {}): BackupRequest {
  return { hostname: 'attempt', snapshotHostname: 'tenant', tags: [], sources: [], ...change };
}

/** Gives the bytes in pieces of changing lengths, then what `end` throws. */
function streamOf(as: string, bytes: Uint8Array, options: { readonly mayFail?: boolean; readonly end?: () => void } = {}): StreamSource {
  return {
    as,
    ...(options.mayFail === undefined ? {} : { mayFail: options.mayFail }),
    async *open() {
      for (let at = 0, length = 1; at < bytes.length; at += length, length = (length * 7 + 13) % 300_000) {
        await Promise.resolve();
        yield bytes.subarray(at, at + length);
      }
      options.end?.();
    },
  };
}

async function pathsOf(snapshot: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const { path } of ls(repository, snapshot)) paths.push(path);
  return paths.sort();
}

describe('a stream', () => {
  it.each([0, 1, 400_000, 20_000_003])('of %i bytes comes back as a file of the same bytes, beside the volumes', async (length) => {
    const bytes = seededRandom(5).bytes(length);
    writeFileSync(join(directory, 'file'), 'content');
    const outcome = await backup(repository, request({ sources: [{ directory, as: '/volumes/data' }], streams: [streamOf('/streams/db', bytes)] }));
    expect(outcome).toMatchObject({ complete: true, files: 2, bytesProcessed: length + 7 });
    expect(await pathsOf(outcome.snapshotId)).toEqual(['/streams', '/streams/db', '/volumes', '/volumes/data', '/volumes/data/file']);
    expect((await listSnapshots(repository))[0]?.paths).toEqual(['/streams/db', '/volumes/data']);
    const target = join(directory, 'target');
    await restore(repository, { snapshot: outcome.snapshotId, target, includes: ['/streams'] });
    expect(readFileSync(join(target, 'streams/db')).equals(bytes)).toBe(true);
    expect(statSync(join(target, 'streams/db')).mode & 0o777).toBe(0o600);
    expect((await check(repository, { readData: 'all' })).problems).toEqual([]);
  });

  it('alone makes a snapshot too, and adds only what is new the next time', async () => {
    const bytes = seededRandom(6).bytes(12_000_000);
    const first = await backup(repository, request({ streams: [streamOf('/streams/db', bytes)] }));
    expect(await pathsOf(first.snapshotId)).toEqual(['/streams', '/streams/db']);
    bytes.fill(7, 5_000_000, 5_000_100);
    const again = await backup(repository, request({ streams: [streamOf('/streams/db', bytes)], parent: first.snapshotId }));
    expect(again.bytesAdded).toBeLessThan(6_000_000);
    expect(again.reach.packs.length).toBeGreaterThan(1);
    expect((await check(repository, { readData: 'all' })).problems).toEqual([]);
  });

  it('that breaks ends the backup with its own error, and leaves no snapshot', async () => {
    const broken = streamOf('/streams/db', seededRandom(7).bytes(3_000_000), {
      end: () => {
        throw new TypeError('the dump ended with status 1');
      },
    });
    await expect(backup(repository, request({ streams: [broken] }))).rejects.toThrow(new TypeError('the dump ended with status 1'));
    expect(await listSnapshots(repository)).toEqual([]);
  });

  it('that breaks and may is left out whole, and the backup is not complete', async () => {
    const broken = streamOf('/streams/db', seededRandom(7).bytes(3_000_000), {
      mayFail: true,
      end: () => {
        throw new TypeError('the dump ended with status 1');
      },
    });
    const outcome = await backup(repository, request({ streams: [broken, streamOf('/streams/other', seededRandom(1).bytes(10))] }));
    expect(outcome).toMatchObject({ complete: false, files: 1 });
    expect(outcome.warnings).toMatchObject([{ path: '/streams/db', kind: 'unreadable', message: expect.stringContaining('the dump ended with status 1') }]);
    expect(await pathsOf(outcome.snapshotId)).toEqual(['/streams', '/streams/other']);
  });

  it('that may fail does not hide that the store has', async () => {
    const put = store.put.bind(store);
    store.put = (key, ...rest) => (key.startsWith('data/') ? Promise.reject(new Error('the disk is full')) : put(key, ...rest));
    await expect(backup(repository, request({ streams: [streamOf('/streams/db', seededRandom(8).bytes(60_000_000), { mayFail: true })] }))).rejects.toThrow('the disk is full');
  });

  it('is not read faster than it is stored', async () => {
    const gate = Promise.withResolvers<undefined>();
    const put = store.put.bind(store);
    store.put = async (key, ...rest) => {
      if (key.startsWith('data/')) await gate.promise;
      return put(key, ...rest);
    };
    const piece = seededRandom(9).bytes(1 << 20);
    let given = 0;
    const endless: StreamSource = {
      as: '/streams/db',
      async *open() {
        for (; given < 300; given += 1) {
          piece.writeUInt32LE(given, 0);
          for (let at = 0; at < piece.length; at += 4096) piece.writeUInt32LE(given * 7919 + at, at);
          await Promise.resolve();
          yield Buffer.from(piece);
        }
      },
    };
    const running = backup(repository, request({ streams: [endless] }));
    await new Promise((resolve) => setTimeout(resolve, 3000));
    expect(given).toBeLessThan(200);
    gate.resolve(undefined);
    expect(await running).toMatchObject({ complete: true });
    expect(given).toBe(300);
  });

  it('is let go of when the backup is stopped', async () => {
    const stop = new AbortController();
    let isClosed = false;
    const endless: StreamSource = {
      as: '/streams/db',
      async *open(signal) {
        try {
          for (;;) {
            yield Buffer.alloc(65_536, 'x');
            await new Promise((resolve) => setTimeout(resolve, 1));
            signal.throwIfAborted();
          }
        } finally {
          isClosed = true;
        }
      },
    };
    setTimeout(() => stop.abort(new Error('told to')), 100);
    await expect(backup(repository, request({ streams: [endless], signal: stop.signal }))).rejects.toMatchObject({ code: 'Aborted' });
    expect(isClosed).toBe(true);
  });

  it('cannot take a path that something else has, or lie within it', async () => {
    const stream = streamOf('/volumes/data/db', Buffer.alloc(1));
    await expect(backup(repository, request({ sources: [{ directory, as: '/volumes/data' }], streams: [stream] }))).rejects.toMatchObject({ code: 'SourceMissing' });
    await expect(backup(repository, request({ streams: [streamOf('/a', Buffer.alloc(1)), streamOf('/a', Buffer.alloc(1))] }))).rejects.toMatchObject({ code: 'SourceMissing' });
    await expect(backup(repository, request({ streams: [streamOf('/', Buffer.alloc(1))] }))).rejects.toMatchObject({ code: 'SourceMissing' });
    expect(existsSync(directory)).toBe(true);
  });
});

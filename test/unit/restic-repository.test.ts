import { describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import type { ObjectStore } from '../../src/storage/index.ts';
import { byteString, encodeLock, hexOfKey, IndexWriter, keyOfBytes, keyOfHex, type Node } from '../../src/restic/format/index.ts';
import { initRepository, openedOf, openRepository } from '../../src/restic/repository/index.ts';
import { TableIndex } from '../../src/restic/repository/table-index.ts';
import { BlobTable } from '../../src/restic/repository/blob-table.ts';

const password = Buffer.from('tbk1-secret-of-a-test');

async function newRepository(store = new MemoryStore()) {
  return openedOf(await initRepository({ store, password }));
}

async function keysOf(store: MemoryStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
}

describe('a repository', () => {
  it('is made once, and opened with its key only', async () => {
    const store = new MemoryStore();
    const made = await newRepository(store);

    expect((await openRepository({ store, password })).id).toBe(made.id);
    await expect(initRepository({ store, password })).rejects.toMatchObject({ code: 'AlreadyInitialized' });
    await expect(openRepository({ store, password: Buffer.from('other') })).rejects.toMatchObject({ code: 'WrongKey' });
    await expect(openRepository({ store: new MemoryStore(), password })).rejects.toMatchObject({ code: 'NoRepository' });
  });

  it('made by two at once has one maker, whose key opens it', async () => {
    const store = new MemoryStore();

    const made = await Promise.allSettled([initRepository({ store, password }), initRepository({ store, password })]);

    expect(made.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(await keysOf(store, 'keys/')).toHaveLength(1);
    await expect(openRepository({ store, password })).resolves.toBeDefined();
  });

  describe('that has lost its config', () => {
    const writers = ['snapshots/', 'index/', 'data/00/', 'manifests/', 'exports/'];

    it.each(writers)('is neither made anew nor opened while something is left in %s, and stays as it is', async (folder) => {
      const store = new MemoryStore();
      await newRepository(store);
      await store.put(`${folder}${'0'.repeat(64)}`, Buffer.from('content'));
      await store.delete('config');
      const before = await keysOf(store, '');

      const refusal = { code: 'Damaged', message: expect.stringMatching(/has lost its config: .* Nothing was written\. Bring config back from another copy .*copy --from/) };
      await expect(initRepository({ store, password })).rejects.toMatchObject(refusal);
      await expect(initRepository({ store, password: Buffer.from('other') })).rejects.toMatchObject(refusal);
      await expect(openRepository({ store, password })).rejects.toMatchObject(refusal);
      expect(await keysOf(store, '')).toEqual(before);
    });

    it('is not made anew over the key file of another key, or one that cannot be read', async () => {
      for (const spoil of [false, true]) {
        const store = new MemoryStore();
        await newRepository(store);
        await store.delete('config');
        const [keyFile = ''] = await keysOf(store, 'keys/');
        if (spoil) {
          await store.delete(keyFile);
          await store.put(keyFile, Buffer.from('{'));
        }
        await expect(initRepository({ store, password: spoil ? password : Buffer.from('other') })).rejects.toMatchObject({ code: 'WrongKey', message: expect.stringContaining(keyFile) });
        expect(await keysOf(store, '')).toEqual([keyFile]);
      }
    });
  });

  it('whose making was cut short before config is made by the same key, and opens', async () => {
    const store = new MemoryStore();
    await newRepository(store);
    await store.delete('config');

    const { id } = await initRepository({ store, password });

    expect((await openRepository({ store, password })).id).toBe(id);
  });

  it('is no lost one when another writer made it between two looks', async () => {
    const store = new MemoryStore();
    const { id } = await newRepository(store);
    await store.put(`data/00/${'0'.repeat(64)}`, Buffer.from('content'));
    const blindOnce = (): ObjectStore => {
      let looks = 0;
      const isFirst = (key: string): boolean => key === 'config' && (looks += 1) === 1;
      return Object.assign(Object.create(store) as MemoryStore, {
        get: async (key: string) => (isFirst(key) ? store.get('nothing') : store.get(key)),
        head: async (key: string) => (isFirst(key) ? undefined : store.head(key)),
        list: (prefix: string) => store.list(prefix),
      });
    };

    expect((await openRepository({ store: blindOnce(), password })).id).toBe(id);
    await expect(initRepository({ store: blindOnce(), password })).rejects.toMatchObject({ code: 'AlreadyInitialized' });
  });

  it('opens although a key file of an attempt that was cut short lies beside its own', async () => {
    const store = new MemoryStore();
    const other = new MemoryStore();
    await initRepository({ store: other, password });
    await newRepository(store);
    for (const key of await keysOf(other, 'keys/')) await store.put(key, await other.get(key));

    await expect(openRepository({ store, password })).resolves.toBeDefined();
  });

  it('gives back blobs and trees after it was opened anew', async () => {
    const store = new MemoryStore();
    const repository = await newRepository(store);
    const contents = [randomBytes(100), Buffer.alloc(3_000_000, 'text '), randomBytes(900_000)];
    const node: Node = { name: byteString('x'), type: 'file', mode: 420, mtime: '2020-01-01T00:00:00Z', atime: '2020-01-01T00:00:00Z', ctime: '2020-01-01T00:00:00Z', uid: 0, gid: 0, content: [] };

    const writer = await repository.startWriting();
    const ids: string[] = [];
    for (const content of contents) ids.push((await writer.save('data', content)).id);
    expect((await writer.save('data', contents[0]!)).isNew).toBe(false);
    const treeId = await writer.saveTree({ nodes: [node] });
    const { packs } = await writer.finish();

    const opened = openedOf(await openRepository({ store, password }));
    for (const [i, id] of ids.entries()) expect(Buffer.from(await opened.loadBlob('data', id)).equals(contents[i]!)).toBe(true);
    expect((await opened.loadTree(treeId)).nodes[0]).toMatchObject(node);
    const index = await opened.loadIndex();
    expect(index.has('data', treeId)).toBe(false);
    expect(packs).toHaveLength(2);
    for (const pack of packs) {
      const listed = [...index.contentsInGroups(index.packIds())].find(({ id }) => id === pack.id);
      expect(await opened.loadPackHeader(pack.id, pack.size)).toEqual(listed);
    }
  });

  it('finds every flipped bit of a pack, an index and its config', async () => {
    const store = new MemoryStore();
    const repository = await newRepository(store);
    const writer = await repository.startWriting();
    const { id } = await writer.save('data', Buffer.from('content of a small file'));
    await writer.finish();

    for (const key of [...(await keysOf(store, 'data/')), ...(await keysOf(store, 'index/')), 'config']) {
      const good = await store.get(key);
      for (let bit = 0; bit < good.length * 8; bit += 7) {
        const bad = new Uint8Array(good);
        bad[bit >> 3] = bad[bit >> 3]! ^ (1 << (bit & 7));
        await store.put(key, bad);
        await expect(readAll(store, id)).rejects.toMatchObject({ code: 'Damaged' });
      }
      await store.put(key, good);
    }
    await readAll(store, id);
  });
});

async function readAll(store: MemoryStore, id: string): Promise<void> {
  const repository = openedOf(await openRepository({ store, password }));
  await repository.loadBlob('data', id);
  for await (const pack of repository.listFiles('data')) await repository.loadPackHeader(pack.id, pack.size);
}

describe('locks', () => {
  const request = { hostname: 'here', exclusive: false };

  it('are shared by readers and exclude an exclusive one, which names the holder', async () => {
    const store = new MemoryStore();
    const repository = await newRepository(store);
    const one = await repository.lock(request);
    const two = await repository.lock(request);

    await expect(repository.lock({ ...request, exclusive: true })).rejects.toMatchObject({ code: 'Locked', retryable: true, message: expect.stringContaining('on here') });
    await one.release();
    await two.release();
    const exclusive = await repository.lock({ ...request, exclusive: true });
    await expect(repository.lock(request)).rejects.toMatchObject({ code: 'Locked' });
    await exclusive.release();

    expect(await keysOf(store, 'locks/')).toEqual([]);
  });

  it('of a dead attempt are removed at once', async () => {
    const store = new MemoryStore();
    const repository = await newRepository(store);
    const lock = { exclusive: true, username: '', pid: 1, uid: 0, gid: 0 };
    await repository.saveUnpacked('locks', encodeLock({ ...lock, hostname: 'attempt-1', time: new Date().toISOString() }));
    await expect(repository.lock(request)).rejects.toMatchObject({ code: 'Locked' });

    const held = await repository.lock({ ...request, deadHostnames: ['attempt-1'] });

    expect(await keysOf(store, 'locks/')).toHaveLength(1);
    await held.release();
  });

  it('are waited for as long as was asked', async () => {
    const repository = await newRepository();
    const held = await repository.lock({ ...request, exclusive: true });
    setTimeout(() => void held.release(), 300);

    const got = await repository.lock({ ...request, lockWaitMs: 5000 });

    await got.release();
  });
});

describe('an index file of some packs', () => {
  const blobsOfPack = fc.array(
    fc.record({ type: fc.constantFrom('data' as const, 'tree' as const), length: fc.integer({ min: 33, max: 0xffffff }), uncompressedLength: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 0xffffffff })) }),
    { maxLength: 40 },
  );

  it('says what the table says, by offset, in the form that JSON has', () => {
    fc.assert(
      fc.property(fc.array(blobsOfPack, { minLength: 1, maxLength: 6 }), fc.nat(5), (packs, left) => {
        const index = new TableIndex();
        const ids = packs.map(() => randomBytes(32).toString('hex'));
        for (const [number, blobs] of packs.entries()) {
          let offset = number === 0 ? 0xf0000000 : 0;
          // Last first: the order in the table is not the order in the pack.
          const placed = blobs.map((blob) => ({ ...blob, id: randomBytes(32).toString('hex'), offset: (offset += blob.length) - blob.length }));
          for (const blob of placed.toReversed()) index.add(index.numberOf(ids[number] ?? ''), blob);
        }
        const wanted = ids.filter((_, number) => number !== left && packs[number]?.length !== 0);
        const none = (id: string): never => {
          throw new Error(`nothing is known of ${id}`);
        };
        const text = (packs: readonly string[]): string => {
          const pieces: Buffer[] = [];
          const writer = new IndexWriter((piece) => pieces.push(Buffer.from(piece)));
          index.write(writer, packs, none);
          writer.finish();
          return Buffer.concat(pieces).toString();
        };
        expect(JSON.parse(text(wanted))).toEqual({
          packs: index.contentsOf(new Set(wanted)).map(({ id, blobs }) => ({
            id,
            blobs: blobs.map(({ type, id: blob, offset, length, uncompressedLength }) => ({ id: blob, type, offset, length, ...(uncompressedLength === 0 ? {} : { uncompressed_length: uncompressedLength }) })),
          })),
        });
        expect(() => text([...wanted, 'ab'.repeat(32)])).toThrow('nothing is known of abab');
      }),
      { numRuns: 200 },
    );
  });
});

describe('the blob table', () => {
  it('behaves like a map, also beyond its first segment', () => {
    const table = new BlobTable();
    const ids = Array.from({ length: 100_000 }, () => randomBytes(32));
    for (const [i, id] of ids.entries()) {
      table.claim('data', keyOfBytes(id));
      table.growIfNeeded();
      if (i % 2 === 0) table.place('data', keyOfBytes(id), { pack: i, offset: i * 3, length: 40, uncompressedLength: 0 });
    }
    const wrong = ids.filter((id, i) => {
      const place = table.find('data', keyOfHex(id.toString('hex')));
      return place?.pack !== (i % 2 === 0 ? i : undefined) || table.has('tree', keyOfBytes(id));
    });
    expect(wrong).toEqual([]);
    expect(table.size).toBe(100_000);
    expect(table.claim('data', keyOfBytes(ids[1]!)).state).toBe('pending');
    expect(table.claim('data', keyOfBytes(ids[2]!))).toEqual({ state: 'placed', pack: 2 });
  });

  it('keeps all places of a blob and loses none when it is consolidated', () => {
    fc.assert(fc.property(fc.array(fc.tuple(fc.nat(5), fc.nat(3)), { maxLength: 60 }), (entries) => {
      const table = new BlobTable();
      const expected = new Set<string>();
      for (const [blob, pack] of entries) {
        table.place('data', new Int32Array(8).fill(blob), { pack, offset: blob * 100, length: 50, uncompressedLength: 7 });
        expected.add(`${blob}/${pack}`);
      }
      const seen = () => [...Array(6).keys()].flatMap((blob) => [...table.findAll('data', new Int32Array(8).fill(blob))].map(({ pack }) => `${blob}/${pack}`));
      expect(seen().sort()).toEqual([...expected].sort());
      table.growIfNeeded();
      table.consolidate();
      expect(seen().sort()).toEqual([...expected].sort());
    }));
  });

  it('turns ids into words and back', () => {
    const id = randomBytes(32);
    expect(hexOfKey(keyOfBytes(id))).toBe(id.toString('hex'));
    expect(hexOfKey(keyOfHex(id.toString('hex')))).toBe(id.toString('hex'));
  });
});

import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ObjectInfo, ObjectStore } from '../../src/storage/index.ts';

/** Gives a fresh, empty store; called once per suite. */
export type StoreFactory = () => Promise<{ store: ObjectStore; dispose: () => Promise<void> }>;

/** What every object store must do, whichever it is. Run it with a factory for each backend and decorator. */
export function describeObjectStore(name: string, factory: StoreFactory): void {
  describe(`object store contract: ${name}`, () => {
    let store: ObjectStore;
    let dispose: () => Promise<void>;

    beforeAll(async () => {
      ({ store, dispose } = await factory());
    });
    afterAll(async () => {
      await store.close();
      await dispose();
    });

    it('returns what was put, as one buffer or as several', async () => {
      const parts = [randomBytes(1000), Buffer.alloc(0), randomBytes(70_000), randomBytes(1)];
      await store.put('roundtrip/one', parts[0]!);
      await store.put('roundtrip/several', parts);
      await store.put('roundtrip/empty', []);
      expect(Buffer.from(await store.get('roundtrip/one'))).toEqual(parts[0]);
      expect(Buffer.from(await store.get('roundtrip/several'))).toEqual(Buffer.concat(parts));
      expect((await store.get('roundtrip/empty')).byteLength).toBe(0);
    });

    it('takes a SHA-256 that the caller knows', async () => {
      const body = [randomBytes(5_000), randomBytes(5_000)];
      const sha256 = createHash('sha256').update(Buffer.concat(body)).digest();
      await store.put('roundtrip/hashed', body, { sha256 });
      expect(Buffer.from(await store.get('roundtrip/hashed'))).toEqual(Buffer.concat(body));
    });

    it('round-trips 17 MiB, larger than one part of a multipart upload', async () => {
      const body = randomBytes(17 * 1024 * 1024 + 3);
      await store.put('roundtrip/large', body);
      expect(body.equals(await store.get('roundtrip/large'))).toBe(true);
      expect(body.equals(await collect(store.getStream('roundtrip/large')))).toBe(true);
      await store.delete('roundtrip/large');
    });

    it('replaces an object when not told otherwise', async () => {
      await store.put('replace', Buffer.from('first, longer'));
      await store.put('replace', Buffer.from('second'));
      expect(Buffer.from(await store.get('replace')).toString()).toBe('second');
    });

    it('lets one of many writers win a name that must be free', async () => {
      const bodies = Array.from({ length: 8 }, (_, index) => Buffer.from(`writer ${index}`));
      const results = await Promise.allSettled(bodies.map((body) => store.put('race/name', body, { ifAbsent: true })));
      const winners = results.flatMap((result, index) => (result.status === 'fulfilled' ? [index] : []));
      expect(winners).toHaveLength(1);
      expect(Buffer.from(await store.get('race/name'))).toEqual(bodies[winners[0]!]);
      for (const result of results) {
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ name: 'StorageError', code: 'AlreadyExists' });
      }
      expect((await keys(store.list('race/'))).length).toBe(1);
    });

    it('reads ranges, exactly', async () => {
      const body = randomBytes(10_000);
      await store.put('range', body);
      for (const [offset, length] of [[0, 10_000], [0, 1], [9_999, 1], [123, 4_567], [17, 0]] as const) {
        const expected = body.subarray(offset, offset + length);
        expect(Buffer.from(await store.get('range', { range: { offset, length } }))).toEqual(expected);
        expect(await collect(store.getStream('range', { range: { offset, length } }))).toEqual(expected);
      }
    });

    it.each([[9_999, 2], [10_000, 1], [50_000, 10]] as const)('says Truncated for a range at %i that is %i long', async (offset, length) => {
      await store.put('short', Buffer.alloc(10_000));
      const options = { range: { offset, length } };
      await expect(store.get('short', options)).rejects.toMatchObject({ code: 'Truncated', retryable: false });
      await expect(collect(store.getStream('short', options))).rejects.toMatchObject({ code: 'Truncated' });
    });

    it('says NotFound for what is not there, and gives no head', async () => {
      await expect(store.get('absent/key')).rejects.toMatchObject({ code: 'NotFound', retryable: false, message: expect.stringContaining('absent/key') });
      await expect(collect(store.getStream('absent/key'))).rejects.toMatchObject({ code: 'NotFound' });
      expect(await store.head('absent/key')).toBeUndefined();
      await store.put('folder/below', Buffer.from('x'));
      expect(await store.head('folder')).toBeUndefined();
      await expect(store.get('folder')).rejects.toMatchObject({ code: 'NotFound' });
    });

    it('tells the size by head', async () => {
      await store.put('sized', [Buffer.alloc(3), Buffer.alloc(4)]);
      const sized = await store.head('sized');
      expect(sized).toMatchObject({ key: 'sized', size: 7 });
      // By the store's clock, which is this machine's here; S3 tells whole seconds.
      expect(Math.abs(Date.now() - (sized?.modifiedAt?.getTime() ?? 0))).toBeLessThan(60_000);
    });

    it('lists in byte order of keys, below any prefix, after any key', async () => {
      const names = ['list/a-b', 'list/a/1', 'list/a/2/x', 'list/a0', 'list/b/ü', 'list/b/z', 'list/b/é', 'list/\u{1F600}', 'list/\uFB01'];
      for (const name of names) await store.put(name, Buffer.from(name));
      const sorted = [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

      const listed = await infos(store.list('list/'));
      expect(listed.map(({ key, size }) => ({ key, size }))).toEqual(sorted.map((key) => ({ key, size: Buffer.byteLength(key) })));
      // Where a listing tells it.
      for (const { modifiedAt = new Date() } of listed) expect(Math.abs(Date.now() - modifiedAt.getTime())).toBeLessThan(10 * 60_000);
      expect(await keys(store.list('list/a'))).toEqual(sorted.filter((key) => key.startsWith('list/a')));
      expect(await keys(store.list('list/a/'))).toEqual(['list/a/1', 'list/a/2/x']);
      expect(await keys(store.list('list/nothing'))).toEqual([]);
      for (const after of [...sorted, 'list/a/', 'list/a/1x', 'list/', 'list/zzz']) {
        const expected = sorted.filter((key) => Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0);
        expect(await keys(store.list('list/', { startAfter: after }))).toEqual(expected);
      }
    });

    it('lists more than one page, and deletes more than one batch', async () => {
      const names = Array.from({ length: 1_203 }, (_, index) => `many/${String(index).padStart(5, '0')}`);
      for (let at = 0; at < names.length; at += 50) {
        await Promise.all(names.slice(at, at + 50).map((name) => store.put(name, Buffer.from('.'))));
      }
      expect(await keys(store.list('many/'))).toEqual(names);
      await store.deleteMany([...names.slice(1), 'many/never-was']);
      expect(await keys(store.list('many/'))).toEqual(names.slice(0, 1));
    });

    it('stops listing when the reader stops', async () => {
      for (const name of ['stop/1', 'stop/2', 'stop/3']) await store.put(name, Buffer.from('x'));
      for await (const { key } of store.list('stop/')) {
        expect(key).toBe('stop/1');
        break;
      }
    });

    it('deletes, and does not mind what is gone already', async () => {
      await store.put('gone', Buffer.from('x'));
      await store.delete('gone');
      await store.delete('gone');
      await store.delete('gone/deeper');
      await store.deleteMany([]);
      expect(await store.head('gone')).toBeUndefined();
    });

    it('gives a view below a prefix that cannot see out', async () => {
      const view = store.within('views/inner');
      await view.put('file', Buffer.from('inside'));
      await store.put('views/inner-not', Buffer.from('outside'));
      expect(Buffer.from(await store.get('views/inner/file')).toString()).toBe('inside');
      expect(await keys(view.list(''))).toEqual(['file']);
      expect(await view.head('file')).toMatchObject({ key: 'file', size: 6 });
      const deeper = store.within('views/').within('inner/');
      await deeper.put('second', Buffer.from('2'));
      expect(await keys(deeper.list('', { startAfter: 'file' }))).toEqual(['second']);
      expect(deeper.location).toBe(`${store.location}/views/inner`);
      await expect(view.get('../inner-not')).rejects.toMatchObject({ code: 'InvalidKey' });
      await view.deleteMany(['file', 'second']);
      await view.close();
      expect(await keys(store.list('views/'))).toEqual(['views/inner-not']);
    });

    it.each(['', '/absolute', 'a//b', 'a/../b', '../b', './a', 'a/', 'nul\0', 'back\\slash', 'k'.repeat(1_025)])('refuses the key %j', async (key) => {
      const refused = { code: 'InvalidKey' };
      await expect(store.put(key, Buffer.from('x'))).rejects.toMatchObject(refused);
      await expect(store.get(key)).rejects.toMatchObject(refused);
      await expect(store.head(key)).rejects.toMatchObject(refused);
      await expect(store.delete(key)).rejects.toMatchObject(refused);
    });

    it('does nothing once its signal is set', async () => {
      const signal = AbortSignal.abort();
      await store.put('signal', Buffer.from('kept'));
      const refused = { code: 'Aborted', retryable: false };
      await expect(store.put('signal', Buffer.from('x'), { signal })).rejects.toMatchObject(refused);
      await expect(store.get('signal', { signal })).rejects.toMatchObject(refused);
      await expect(collect(store.getStream('signal', { signal }))).rejects.toMatchObject(refused);
      await expect(store.head('signal', { signal })).rejects.toMatchObject(refused);
      await expect(keys(store.list('signal', { signal }))).rejects.toMatchObject(refused);
      await expect(store.delete('signal', { signal })).rejects.toMatchObject(refused);
      await expect(store.deleteMany(['signal'], { signal })).rejects.toMatchObject(refused);
      expect(Buffer.from(await store.get('signal')).toString()).toBe('kept');
    });

    it('keeps names with spaces, percent signs, plus and unicode apart', async () => {
      const names = ['odd/a b', 'odd/a+b', 'odd/a%20b', 'odd/ä', 'odd/a\u0308', 'odd/"quoted" & <tag>', "odd/it's"];
      for (const name of names) await store.put(name, Buffer.from(name));
      for (const name of names) expect(Buffer.from(await store.get(name)).toString()).toBe(name);
      expect(new Set(await keys(store.list('odd/')))).toEqual(new Set(names));
      await store.deleteMany(names);
      expect(await keys(store.list('odd/'))).toEqual([]);
    });
  });
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function infos(list: AsyncIterable<ObjectInfo>): Promise<ObjectInfo[]> {
  const found: ObjectInfo[] = [];
  for await (const info of list) found.push(info);
  return found;
}

async function keys(list: AsyncIterable<ObjectInfo>): Promise<string[]> {
  return (await infos(list)).map(({ key }) => key);
}

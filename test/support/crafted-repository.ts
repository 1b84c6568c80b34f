import { hash } from 'node:crypto';
import { byteString, encodeSnapshot, type Node } from '../../src/restic/format/index.ts';
import { initRepository, type Repository } from '../../src/restic/index.ts';
import { openedOf } from '../../src/restic/repository/index.ts';
import type { ObjectStore } from '../../src/storage/index.ts';
import { testPassword } from './real-restic.ts';

/** What a forger would write: any name, any type, any content. */
export type CraftedEntry = Partial<Omit<Node, 'name' | 'content'>> & { readonly name: string; readonly data?: string; readonly entries?: readonly CraftedEntry[] };

/** A repository with one snapshot of exactly these trees. */
export async function craftRepository(store: ObjectStore, entries: readonly CraftedEntry[]): Promise<Repository> {
  const repository = await initRepository({ store, password: Buffer.from(testPassword) });
  const opened = openedOf(repository);
  const writer = await opened.startWriting();
  const time = '2024-05-06T07:08:09.123456789Z';
  async function saveTree(list: readonly CraftedEntry[]): Promise<string> {
    const nodes: Node[] = [];
    for (const { name, data, entries: below, ...given } of list) {
      const content = data === undefined ? null : [(await writer.save('data', Buffer.from(data))).id];
      nodes.push({
        name: byteString(name), type: below === undefined ? 'file' : 'dir', mode: below === undefined ? 0o644 : 2 ** 31 + 0o755, mtime: time, atime: time, ctime: time,
        uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, content, ...(data === undefined ? {} : { size: Buffer.byteLength(data), links: 1 }),
        ...(below === undefined ? {} : { subtree: await saveTree(below) }), ...given,
      });
    }
    return writer.saveTree({ nodes });
  }
  const tree = await saveTree(entries);
  await writer.finish();
  await opened.saveUnpacked('snapshots', encodeSnapshot({ time, tree, paths: ['/crafted'], hostname: 'crafted', tags: [] }));
  return repository;
}

/** A copy of an object with one bit flipped, and its key as it was. */
export async function flipBit(store: ObjectStore, key: string, bit: number): Promise<Uint8Array> {
  const original = await store.get(key);
  const damaged = Uint8Array.from(original);
  damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  await store.delete(key);
  await store.put(key, damaged);
  return original;
}

export async function putBack(store: ObjectStore, key: string, original: Uint8Array): Promise<void> {
  await store.delete(key);
  await store.put(key, original);
}

/** Where the encrypted bytes of the blob of `data` lie. */
export async function placeOf(repository: Repository, data: string): Promise<{ readonly key: string; readonly offset: number; readonly length: number }> {
  const place = (await openedOf(repository).loadIndex()).lookup('data', hash('sha256', data, 'hex'));
  if (place === undefined) throw new Error('no such blob');
  return { key: `data/${place.packId.slice(0, 2)}/${place.packId}`, offset: place.offset, length: place.length };
}

/**
 * Each of the checks that cover one another, alone: a MAC that does not fit although the content does, content that is sealed rightly and not what
 * its id says, and files that are sound but lie under another's name (put there by somebody who may write to the bucket and has no key).
 */
import { afterAll, afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { hash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CipherKey, encodeLock, encodePackHeader, parseIndex, type PackContents } from '../../src/restic/format/index.ts';
import { check, listSnapshots, openRepository, restore, type Repository } from '../../src/restic/index.ts';
import { keyOf, openedOf, type OpenRepository } from '../../src/restic/repository/index.ts';
import { BlobCodec } from '../../src/restic/pipeline/blob-codec.ts';
import { BlobOpener } from '../../src/restic/pipeline/blob-opener.ts';
import { MemoryStore } from '../../src/storage/index.ts';
import { craftRepository } from '../support/crafted-repository.ts';
import { scratchDirectory, testPassword } from '../support/real-restic.ts';
import { encodeIndex, scanIndex } from '../support/index-text.ts';

const scratch = scratchDirectory();
const promised = 'what was promised';
let store: MemoryStore;
let repository: OpenRepository;
let run = 0;

beforeEach(async () => {
  store = new MemoryStore();
  repository = openedOf(await craftRepository(store, [{ name: 'file', data: promised }]));
});
afterEach(() => repository.close());
afterAll(() => scratch.remove());

function idOf(bytes: Uint8Array | string): string {
  return hash('sha256', bytes, 'hex');
}

function reopen(): Promise<Repository> {
  return openRepository({ store, password: Buffer.from(testPassword), readOnly: true });
}

/** What check says, and how a restore ends: nothing that is not what it was may come out of either. */
async function judge(): Promise<{ readonly problems: string; readonly restored: unknown }> {
  const reader = await reopen();
  const { problems } = await check(reader, { readData: 'all' });
  const target = join(scratch.path, `target-${String(run++)}`);
  const restored = await restore(reader, { snapshot: 'latest', target }).catch((error: unknown) => error);
  await reader.close();
  if (restored instanceof Error) expect(existsSync(join(target, 'file'))).toBe(false);
  return { problems: problems.map(({ object, message }) => `${object}: ${message}`).join('\n'), restored };
}

async function packOf(type: 'data' | 'tree'): Promise<PackContents> {
  const index = await repository.loadIndex({ reload: true });
  for (const pack of index.contentsInGroups(index.packIds())) if (pack.blobs[0]?.type === type) return pack;
  throw new Error('no such pack');
}

/** Writes a pack anew and lets the only index name it in the place of the old one. */
async function replacePack(old: PackContents, pack: { readonly id: string; readonly bytes: Uint8Array; readonly contents: PackContents }): Promise<void> {
  const other = await packOf(old.blobs[0]?.type === 'data' ? 'tree' : 'data');
  const indexes = [...repository.indexFiles];
  await store.delete(keyOf('data', old.id));
  await store.put(keyOf('data', pack.id), pack.bytes);
  await repository.saveUnpacked('index', encodeIndex([other, pack.contents]));
  await repository.removeFiles('index', indexes.map(({ id }) => id));
}

describe('found by the one check that can', () => {
  it('a blob that is sealed rightly and is not what its id says', async () => {
    const old = await packOf('data');
    const blobs = old.blobs.map((blob) => ({ ...blob, uncompressedLength: 0 }));
    const sealed = repository.key.seal(Buffer.from('what was forged!!'.slice(0, promised.length)));
    const [blob] = blobs;
    if (blob === undefined) throw new Error('no blob');
    const forged = [{ ...blob, offset: 0, length: sealed.length }];
    const header = repository.key.seal(encodePackHeader(forged));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(header.length);
    const bytes = Buffer.concat([sealed, header, length]);
    await replacePack(old, { id: idOf(bytes), bytes, contents: { id: idOf(bytes), blobs: forged } });
    const { problems, restored } = await judge();
    expect(problems).toContain(idOf(bytes));
    expect(problems).toContain(blob.id);
    expect(restored).toMatchObject({ code: 'Damaged' });
  });

  it('a pack that is whole and lies under another name', async () => {
    const old = await packOf('data');
    const wrong = 'ab'.repeat(32);
    await replacePack(old, { id: wrong, bytes: await store.get(keyOf('data', old.id)), contents: { ...old, id: wrong } });
    const { problems } = await judge();
    expect(problems).toContain(wrong);
    expect(problems).toContain('not what its name says');
  });

  it('a snapshot that is whole and lies under another name', async () => {
    const [snapshot] = await listSnapshots(repository);
    const wrong = 'ab'.repeat(32);
    await store.put(keyOf('snapshots', wrong), await store.get(keyOf('snapshots', snapshot?.id ?? '')));
    expect((await judge()).problems).toContain(wrong);
    await expect(listSnapshots(repository)).rejects.toMatchObject({ code: 'Damaged', message: expect.stringContaining(wrong) });
  });

  it('an index and a lock that are whole and lie under other names', async () => {
    const { id } = await repository.saveUnpacked('locks', encodeLock({ time: new Date().toISOString(), exclusive: false, hostname: 'h', username: 'u', pid: 1, uid: 0, gid: 0 }));
    for (const [kind, name] of [['locks', id], ['index', repository.indexFiles[0]?.id ?? '']] as const) {
      const wrong = idOf(kind);
      await store.put(keyOf(kind, wrong), await store.get(keyOf(kind, name)));
      expect((await judge()).problems).toContain(`${kind}/${wrong}`);
      await store.delete(keyOf(kind, wrong));
    }
  });
});

describe.each([true, false])('a blob (native functions: %p)', (native) => {
  it('whose MAC was touched is not opened, though its content is right', () => {
    const { material } = CipherKey.generate();
    const plaintext = Buffer.from(promised);
    const codec = new BlobCodec(material, native);
    const opener = new BlobOpener(material, native);
    const sealed = Buffer.alloc(plaintext.length + 32);
    codec.seal(plaintext, sealed, 0);
    expect(opener.open(sealed, 0, idOf(plaintext))).toEqual(expect.objectContaining({ length: plaintext.length }));
    for (const at of [sealed.length - 1, sealed.length - 16]) {
      const touched = Buffer.from(sealed);
      touched[at] = (touched[at] ?? 0) ^ 1;
      expect(opener.open(touched, 0, idOf(plaintext))).toBeUndefined();
    }
    expect(opener.open(sealed, 0, idOf('another'))).toBeUndefined();
    codec.free();
    opener.free();
  });
});

describe('an index', () => {
  it.each([0, 31])('with a blob of %i bytes, too short for its own seal, is damaged for either reader', (length) => {
    const index = Buffer.from(encodeIndex([{ id: 'ab'.repeat(32), blobs: [{ type: 'data', id: 'cd'.repeat(32), offset: 0, length, uncompressedLength: 0 }] }]));
    expect(scanIndex(index, { pack: () => 0, blob: () => undefined })).toBe(false);
    expect(() => parseIndex(index, 'index', () => undefined)).toThrow(expect.objectContaining({ code: 'Damaged' }));
  });
});

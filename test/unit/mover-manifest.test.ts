import { createHmac } from 'node:crypto';
import { beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { decodeManifest, isSealed, sealManifest, type ManifestContent, type ManifestMac } from '../../src/mover/manifest.ts';
import { findManifest, manifestedSnapshots, manifestKey, readManifest, writeManifest } from '../../src/mover/manifest-store.ts';
import { EngineError } from '../../src/restic/errors.ts';
import { canonicalJson, MemoryStore } from '../../src/storage/index.ts';

const ID = 'ab'.repeat(32);
const OTHER = 'cd'.repeat(32);

function content(change: Partial<ManifestContent> = {}): ManifestContent {
  const snapshot = change.snapshot ?? ID;
  return {
    rev: 1,
    tenant: '0'.repeat(32),
    generation: 1,
    snapshot,
    createdAt: '2026-11-24T10:00:00.000Z',
    complete: true,
    files: [
      { name: `snapshots/${snapshot}`, size: 300 },
      { name: 'config', size: 155 },
      { name: `data/cd/${OTHER}`, size: 16_000_000 },
      { name: `exports/${OTHER}`, size: 900 },
      { name: `keys/${OTHER}`, size: 450 },
    ],
    ...change,
  };
}

function mac(secret: string): ManifestMac {
  return (json) => createHmac('sha256', secret).update(json).digest();
}

describe('a manifest', () => {
  it('has these bytes for ever', () => {
    const { bytes } = sealManifest(content(), mac('k'));
    const files = [`{"name":"config","size":155}`, `{"name":"data/cd/${OTHER}","size":16000000}`, `{"name":"exports/${OTHER}","size":900}`, `{"name":"keys/${OTHER}","size":450}`, `{"name":"snapshots/${ID}","size":300}`];
    const start = `{"complete":true,"createdAt":"2026-11-24T10:00:00.000Z","files":[${files.join(',')}],"generation":1,`;
    const end = `"rev":1,"snapshot":"${ID}","tenant":"${'0'.repeat(32)}","version":1}`;
    const seal = createHmac('sha256', 'k').update(start + end).digest('hex');
    expect(Buffer.from(bytes).toString()).toBe(`${start}"mac":"${seal}",${end}`);
  });

  it('reads back, and its seal holds under the key that made it alone', () => {
    const { manifest, bytes } = sealManifest(content(), mac('k'));
    expect(decodeManifest(bytes, 'it')).toEqual(manifest);
    expect(isSealed(manifest, mac('k'))).toBe(true);
    expect(isSealed(manifest, mac('other'))).toBe(false);
    expect(isSealed({ ...manifest, complete: false }, mac('k'))).toBe(false);
    expect(isSealed({ ...manifest, files: manifest.files.slice(1) }, mac('k'))).toBe(false);
  });

  it.each([
    ['a path that leads out', [{ name: '../config', size: 1 }]],
    ['an absolute path', [{ name: '/etc/passwd', size: 1 }]],
    ['a lock file', [{ name: `locks/${ID}`, size: 1 }]],
    ['a pack in the wrong folder', [{ name: `data/ab/${OTHER}`, size: 1 }]],
    ['a file twice', [{ name: 'config', size: 155 }]],
    ['another snapshot', [{ name: `snapshots/${OTHER}`, size: 155 }]],
    ['an export that is a pack', [{ name: `data/ab/${ID}`, size: 155, exported: true }]],
    ['a snapshot that stands for an index file', [{ name: `snapshots/${OTHER}`, size: 155, of: ID }]],
    ['an index file that is half exported', [{ name: `index/${ID}`, size: 155, exported: false }]],
    ['a negative size', [{ name: `index/${ID}`, size: -1 }]],
    ['half a byte', [{ name: `index/${ID}`, size: 1.5 }]],
  ])('with %s is refused', (_, more) => {
    const files = [...content().files, ...more].sort((a, b) => (a.name < b.name ? -1 : 1));
    const bytes = canonicalJson({ ...content(), files, version: 1, mac: ID });
    expect(() => decodeManifest(bytes, 'it')).toThrow(expect.objectContaining({ code: 'Damaged' }));
  });

  it.each(['config', `exports/${OTHER}`, `keys/${OTHER}`, `snapshots/${ID}`])('without %s is refused', (missing) => {
    const sealed = sealManifest(content(), mac('k')).manifest;
    const bytes = canonicalJson({ ...sealed, files: sealed.files.filter(({ name }) => name !== missing) });
    expect(() => decodeManifest(bytes, 'it')).toThrow(expect.objectContaining({ code: 'Damaged' }));
    expect(() => sealManifest({ ...content(), files: content().files.filter(({ name }) => name !== missing) }, mac('k'))).toThrow(TypeError);
  });

  it('of a later version, with unknown fields, or not canonical is refused', () => {
    const { manifest } = sealManifest(content(), mac('k'));
    expect(() => decodeManifest(canonicalJson({ ...manifest, version: 2 }), 'it')).toThrow(expect.objectContaining({ code: 'UnknownVersion' }));
    expect(() => decodeManifest(canonicalJson({ ...manifest, extra: 1 }), 'it')).toThrow(expect.objectContaining({ code: 'Damaged' }));
    expect(() => decodeManifest(Buffer.from(JSON.stringify(manifest, null, 1)), 'it')).toThrow(expect.objectContaining({ code: 'Damaged' }));
  });

  it('is refused with an EngineError and nothing else, whatever the bytes are', () => {
    const { bytes } = sealManifest(content(), mac('k'));
    const changed = fc.tuple(fc.nat({ max: bytes.length - 1 }), fc.nat({ max: 255 })).map(([at, byte]) => Uint8Array.from(bytes, (old, index) => (index === at ? byte : old)));
    const json = fc.json().map((text) => new TextEncoder().encode(text));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), changed, json), (hostile) => {
        try {
          const read = decodeManifest(hostile, 'it');
          expect(Buffer.from(canonicalJson(read)).equals(hostile)).toBe(true);
          expect(isSealed(read, mac('k'))).toBe(Buffer.from(bytes).equals(hostile));
        } catch (error) {
          if (!(error instanceof EngineError)) throw error;
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('the manifests of a snapshot', () => {
  let store: MemoryStore;
  beforeEach(() => {
    store = new MemoryStore();
  });
  const put = (rev: number, secret: string, change: Partial<ManifestContent> = {}): Promise<void> =>
    store.put(manifestKey(change.snapshot ?? ID, rev), sealManifest(content({ rev, ...change }), mac(secret)).bytes);

  it('count their revisions from 1, also when two write at once', async () => {
    const results = await Promise.all(Array.from({ length: 5 }, () => writeManifest(store, content(), mac('k'))));
    expect(results.map(({ rev }) => rev).sort()).toEqual([1, 2, 3, 4, 5]);
    for (const rev of [9, 10]) await put(rev, 'k');
    expect((await writeManifest(store, content(), mac('k'))).rev).toBe(11);
  });

  it('stand with the highest revision, and for who has the key the highest that it sealed', async () => {
    await put(1, 'k');
    await put(2, 'k');
    await put(10, 'forged');
    expect((await readManifest(store, ID))?.rev).toBe(10);
    expect((await readManifest(store, ID, { mac: mac('k') }))?.rev).toBe(2);
    expect(await readManifest(store, ID, { mac: mac('nobody') })).toBeUndefined();
    expect(await readManifest(store, OTHER)).toBeUndefined();
  });

  it('are skipped when damaged by who has the key, and refused by who has not', async () => {
    await put(1, 'k');
    await store.put(manifestKey(ID, 2), Buffer.from('{}'));
    await put(3, 'k', { rev: 1 });
    expect((await readManifest(store, ID, { mac: mac('k') }))?.rev).toBe(1);
    await expect(readManifest(store, ID)).rejects.toMatchObject({ code: 'Damaged', message: expect.stringContaining('wrong place') });
    await store.put(manifestKey(ID, 4), Buffer.from('{"version":9}'));
    await expect(readManifest(store, ID, { mac: mac('k') })).rejects.toMatchObject({ code: 'UnknownVersion' });
  });

  it('are found by id, by its beginning, and by latest', async () => {
    await put(1, 'k', { createdAt: '2026-11-24T12:00:00.000Z' });
    await put(1, 'k', { snapshot: OTHER, files: content({ snapshot: OTHER }).files });
    await put(1, 'k', { snapshot: `abab${OTHER.slice(4)}`, createdAt: '2026-01-01T00:00:00.000Z', files: content({ snapshot: `abab${OTHER.slice(4)}` }).files });
    expect(await manifestedSnapshots(store)).toHaveLength(3);
    expect((await findManifest(store, 'latest')).snapshot).toBe(ID);
    expect((await findManifest(store, 'cd')).snapshot).toBe(OTHER);
    await expect(findManifest(store, 'abab')).rejects.toMatchObject({ code: 'AmbiguousSnapshot' });
    await expect(findManifest(store, 'ee')).rejects.toMatchObject({ code: 'NoSuchSnapshot' });
    await expect(findManifest(new MemoryStore(), 'latest')).rejects.toMatchObject({ code: 'NoSuchSnapshot' });
  });
});

import { describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { zstdCompressSync } from 'node:zlib';
import { CipherKey, decodeUnpacked, encodeUnpacked, IndexScanner, IndexWriter, openUnpacked, sealUnpacked, ZstdStream } from '../../src/restic/format/index.ts';
import { BlobTable, SlotSet, TableIndex } from '../../src/restic/repository/index.ts';

/** What comes out piece by piece, as one. */
function gather(make: (emit: (piece: Uint8Array) => void) => void): Buffer {
  const pieces: Buffer[] = [];
  make((piece) => pieces.push(Buffer.from(piece)));
  return Buffer.concat(pieces);
}

/** Cuts bytes at random places. */
function* cuts(bytes: Uint8Array, lengths: readonly number[]): Generator<Uint8Array> {
  let at = 0;
  for (let i = 0; at < bytes.length; i += 1) {
    const length = lengths[i % lengths.length] ?? 1;
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

const lengths = fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 20 });
const text = fc.array(fc.constantFrom('{"id":"', 'abcdef0123456789', randomBytes(200).toString('hex'), 'x'.repeat(5000)), { maxLength: 40 }).map((parts) => Buffer.from(`{${parts.join('')}`));

describe('a sealed file that is made and read in pieces', () => {
  it('is what sealing it whole gives, whichever way it is read', () => {
    const key = CipherKey.generate();
    fc.assert(
      fc.property(text, lengths, fc.constantFrom(1 as const, 2 as const), (json, sizes, version) => {
        const sealed = sealUnpacked(key, version, (emit) => {
          for (const piece of cuts(json, sizes)) emit(piece);
        });
        const whole = Buffer.concat(sealed.parts);
        expect(whole.length).toBe(sealed.size);
        expect(Buffer.from(decodeUnpacked(key.open(whole) ?? Buffer.alloc(0), 'index'))).toEqual(json);
        expect(gather((emit) => openUnpacked(key, whole, 'index', emit))).toEqual(json);
        expect(gather((emit) => openUnpacked(key, key.seal(encodeUnpacked(json, version)), 'index', emit))).toEqual(json);
      }),
      { numRuns: 30 },
    );
  });

  it('gives nothing away when a bit of it is wrong', () => {
    const key = CipherKey.generate();
    const sealed = key.seal(encodeUnpacked(Buffer.from('{"packs":[]}'), 2));
    for (let at = 0; at < sealed.length; at += 1) {
      const broken = Uint8Array.from(sealed, (byte, i) => (i === at ? byte ^ 4 : byte));
      let given = 0;
      expect(() => openUnpacked(key, broken, 'index 4f3a', () => (given += 1))).toThrow('its MAC does not match');
      expect(given).toBe(0);
    }
  });

  it.each([true, false])('decompresses frames that follow one another, cut anywhere (native: %s)', (useNative) => {
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 3 }), lengths, (parts, sizes) => {
        const frames = Buffer.concat(parts.map((part) => zstdCompressSync(part)));
        const out = gather((emit) => {
          const stream = new ZstdStream('tree', 1e9, emit, useNative);
          for (const piece of cuts(frames, sizes)) stream.push(piece);
          stream.end();
          stream.free();
        });
        expect(out).toEqual(Buffer.concat(parts));
      }),
      { numRuns: 20 },
    );
    const frame = zstdCompressSync(Buffer.alloc(100_000));
    const stream = new ZstdStream('tree 4f3a', 99_999, () => undefined, useNative);
    expect(() => {
      stream.push(frame);
      stream.end();
    }).toThrow('tree 4f3a is damaged');
    const short = new ZstdStream('tree 4f3a', 1e9, () => undefined, useNative);
    expect(() => {
      short.push(frame.subarray(0, -3));
      short.end();
    }).toThrow('tree 4f3a is damaged');
  });
});

describe('an index that comes in pieces', () => {
  it('is the same wherever it is cut', () => {
    const id = () => randomBytes(32).toString('hex');
    const packs = Array.from({ length: 4 }, () => ({
      id: id(),
      blobs: Array.from({ length: 9 }, (_, i) => ({ id: id(), type: i % 2 === 0 ? 'data' : 'tree', offset: i * 1000, length: 900, ...(i % 3 === 0 ? { uncompressed_length: 4000 } : {}) })),
    }));
    const json = Buffer.from(JSON.stringify({ packs }));
    const seen = (pieces: Iterable<Uint8Array>): string[] => {
      const list: string[] = [];
      const scanner = new IndexScanner({
        pack: (pack) => list.push(pack),
        blob: (pack, type, key, offset, length, uncompressed) => list.push(`${pack} ${type} ${String(key)} ${offset} ${length} ${uncompressed}`),
      });
      for (const piece of pieces) scanner.push(Buffer.from(piece));
      expect(scanner.end()).toBe(true);
      return list;
    };
    const expected = seen([json]);
    expect(expected.length).toBe(40);
    fc.assert(fc.property(lengths, (sizes) => expect(seen(cuts(json, sizes))).toEqual(expected)));
    for (let cut = 0; cut < json.length; cut += 7) {
      const scanner = new IndexScanner({ pack: () => 0, blob: () => undefined });
      scanner.push(json.subarray(0, cut));
      expect(scanner.end()).toBe(false);
    }
  });
});

describe('the blob table of a large repository', () => {
  it('takes at most a hundred bytes a blob while it grows, and a bit more than its slots need when its size is known', () => {
    const key = new Int32Array(8);
    const fill = (table: BlobTable, count: number): number => {
      for (let i = 0; i < count; i += 1) {
        key.set([Math.imul(i, 0x9e3779b1), i]);
        table.place('data', key, { pack: 0, offset: i, length: 40, uncompressedLength: 0 });
      }
      return table.bytesInMemory / count;
    };
    for (const count of [200_000, 320_000, 500_000]) expect(fill(new BlobTable(), count)).toBeLessThan(100);
    const known = new BlobTable();
    known.reserve(500_000);
    expect(fill(known, 500_000)).toBeLessThan(66);
  });

  it('names the first of several places of a blob, always the same', () => {
    const table = new BlobTable();
    const blob = (i: number) => new Int32Array(8).fill(Math.imul(i, 0x9e3779b1));
    for (let pack = 0; pack < 3; pack += 1) for (let i = 0; i < 60_000; i += 1) table.place('data', blob(i), { pack, offset: i, length: 40, uncompressedLength: 0 });
    const used = new SlotSet(1);
    for (let i = 0; i < 60_000; i += 2) expect(used.add(table.slotOf('data', blob(i)))).toBe(true);
    expect(used.add(table.slotOf('data', blob(2)))).toBe(false);
    expect(used.size).toBe(30_000);
    let [places, first] = [0, 0];
    table.forEachSlot((type, words, at, slot) => {
      const home = table.slotOf(type, words.subarray(at, at + 8));
      places += used.has(home) ? 1 : 0;
      first += home === slot ? 1 : 0;
    });
    expect([places, first]).toEqual([90_000, 60_000]);
    expect(table.slotOf('tree', blob(2))).toBe(-1);
  });
});

describe('an index of a third of a million blobs', () => {
  const key = CipherKey.generate();
  const count = 300_000;
  const blobsOfPack = 1000;
  const packs = Array.from({ length: count / blobsOfPack }, () => randomBytes(32).toString('hex'));

  function filled(): TableIndex {
    const index = new TableIndex();
    index.table.reserve(count);
    const words = new Int32Array(8);
    for (let i = 0; i < count; i += 1) {
      // Ids are random: neither the table nor the compressor may find an order in them.
      for (let word = 0; word < 8; word += 1) words[word] = Math.imul(i * 8 + word + 1, 0x9e3779b1) ^ Math.imul(i + word * 77_777, 0x85ebca6b);
      index.table.place('data', words, { pack: index.numberOf(packs[Math.floor(i / blobsOfPack)] ?? ''), offset: (i % blobsOfPack) * 100, length: 100, uncompressedLength: 0 });
    }
    return index;
  }

  /** Bytes outside of the heap, at most, beyond what there was before. */
  function peakOf(work: (look: () => void) => void): number {
    const before = process.memoryUsage().arrayBuffers;
    let peak = 0;
    work(() => {
      peak = Math.max(peak, process.memoryUsage().arrayBuffers - before);
    });
    return peak / 2 ** 20;
  }

  it('is written and read in a few megabytes beside its sealed form, though its text is sixty', () => {
    const index = filled();
    let [sealed, length] = [Buffer.alloc(0), 0];
    const written = peakOf((look) => {
      const file = sealUnpacked(key, 2, (emit) => {
        const writer = new IndexWriter((piece) => {
          length += piece.length;
          emit(piece);
          look();
        });
        index.write(writer, packs, (id) => {
          throw new Error(id);
        });
        writer.finish();
      });
      sealed = Buffer.concat(file.parts);
    });
    expect(length).toBeGreaterThan(30 * 2 ** 20);
    expect(written).toBeLessThan(sealed.length / 2 ** 20 + 12);

    let found = 0;
    const read = peakOf((look) => {
      const scanner = new IndexScanner({ pack: (id) => packs.indexOf(id), blob: () => (found += 1) });
      openUnpacked(key, sealed, 'index', (piece) => {
        scanner.push(piece);
        look();
      });
      expect(scanner.end()).toBe(true);
    });
    expect(found).toBe(count);
    expect(read).toBeLessThan(12);
  });
});

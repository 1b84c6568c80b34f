import { describe, expect, it } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { Chunker, CipherKey, decompress, gearTable, maxChunkLength, minChunkLength } from '../../src/restic/format/index.ts';
import { BlobCodec } from '../../src/restic/pipeline/blob-codec.ts';

const gear = gearTable(createHash('shake256', { outputLength: 1024 }).update('a test').digest());

/** Cuts, with the bytes coming in pieces of the given lengths. */
function cuts(bytes: Uint8Array, pieces: readonly number[]): number[] {
  const chunker = new Chunker(gear);
  const found: number[] = [];
  let start = 0;
  let end = 0;
  for (let i = 0; end < bytes.length; i += 1) {
    end = Math.min(bytes.length, end + (pieces[i % pieces.length] ?? 1));
    for (let cut = chunker.next(bytes, start, end); cut >= 0; cut = chunker.next(bytes, start, end)) found.push((start += cut));
  }
  return found;
}

describe('the chunker', () => {
  const bytes = new Uint8Array(createHash('shake256', { outputLength: 30_000_000 }).update('content').digest());

  it('cuts between its limits, every 768 KiB on average', () => {
    const found = cuts(bytes, [bytes.length]);
    const lengths = found.map((cut, i) => cut - (found[i - 1] ?? 0));
    expect(Math.min(...lengths)).toBeGreaterThanOrEqual(minChunkLength);
    expect(bytes.length / found.length).toBeGreaterThan(600_000);
    expect(bytes.length / found.length).toBeLessThan(1_000_000);
  });

  it('cuts at the same places wherever reads end', () => {
    const whole = cuts(bytes.subarray(0, 6_000_000), [bytes.length]);
    fc.assert(fc.property(fc.array(fc.integer({ min: 20_000, max: 2_000_000 }), { minLength: 1, maxLength: 20 }), (pieces) => {
      expect(cuts(bytes.subarray(0, 6_000_000), pieces)).toEqual(whole);
    }), { numRuns: 50 });
    expect(cuts(bytes.subarray(0, 3_000_000), [1])).toEqual(whole.filter((cut) => cut <= 3_000_000));
  });

  it('finds the same cuts again behind an insertion', () => {
    const moved = cuts(Buffer.concat([randomBytes(1000), bytes]), [bytes.length]).map((cut) => cut - 1000);
    const original = new Set(cuts(bytes, [bytes.length]));
    expect(moved.filter((cut) => !original.has(cut)).length).toBeLessThanOrEqual(3);
  });

  it('ends a chunk without a cut at 8 MiB', () => {
    expect(cuts(new Uint8Array(20_000_000).fill(1), [1_000_000])).toEqual([maxChunkLength, 2 * maxChunkLength]);
  });

  it('takes a run of zeros for a cut, so that free space in pages ends chunks', () => {
    const pages = bytes.slice(0, 8_000_000);
    for (let page = 4096; page < pages.length; page += 4096) pages.fill(0, page - 100, page);
    const found = cuts(pages, [pages.length]);
    expect(pages.length / found.length).toBeLessThan(minChunkLength + 10_000);
  });

  it('cuts elsewhere in another repository', () => {
    const other = new Chunker(gearTable(CipherKey.generate().derive('table', 1024)));
    expect(other.next(bytes, 0, bytes.length)).not.toBe(cuts(bytes, [bytes.length])[0]);
  });
});

describe('the codec', () => {
  const key = CipherKey.generate();

  it.each([['with the functions of Node itself', true], ['with its modules', false]])('%s seals and compresses what the cipher opens', (_name, useNative) => {
    const codec = new BlobCodec(key.material, useNative);
    fc.assert(fc.property(fc.oneof(fc.uint8Array({ maxLength: 3000 }), fc.string({ minLength: 100, maxLength: 3000 }).map((text) => new Uint8Array(Buffer.from(text.repeat(3))))), (plaintext) => {
      const compressed = codec.compress(plaintext);
      const payload = compressed ?? plaintext;
      const target = Buffer.alloc(payload.length + 40);
      const length = codec.seal(payload, target, 5);
      const opened = key.open(target.subarray(5, 5 + length));
      expect(opened).toBeDefined();
      const result = compressed === undefined ? opened : decompress(opened ?? plaintext, plaintext.length, 'blob');
      expect(Buffer.from(result ?? []).equals(plaintext)).toBe(true);
      expect(Buffer.from(codec.sha256(plaintext)).toString('hex')).toBe(createHash('sha256').update(plaintext).digest('hex'));
    }));
    codec.free();
  });

  it('does not compress what is compressed already', () => {
    const codec = new BlobCodec(key.material);
    expect(codec.compress(randomBytes(1_000_000))).toBeUndefined();
    expect(codec.compress(randomBytes(1000))).toBeUndefined();
    expect(codec.compress(Buffer.alloc(1_000_000, 'text'))?.length).toBeLessThan(1000);
    codec.free();
  });

  it('never uses a nonce twice', () => {
    const codec = new BlobCodec(key.material);
    const nonces = new Set(Array.from({ length: 2000 }, () => {
      const target = Buffer.alloc(40);
      codec.seal(Buffer.alloc(1), target, 0);
      return target.toString('hex', 0, 16);
    }));
    expect(nonces.size).toBe(2000);
  });
});

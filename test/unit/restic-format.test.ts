import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  byteString, byteStringFromText, compress, decompress, encodeNode, encodePackHeader, encodeTree, formatTime, goModeOf, isSameTime,
  parseIndex, parsePackHeader, parseTime, parseTree, permissionsOf, type Node, type PackedBlob,
} from '../../src/restic/format/index.ts';
import { goJsonBytes, goQuote, goUnquote } from '../../src/restic/format/go-text.ts';
import { encodeIndex } from '../support/index-text.ts';

const plainNode: Node = {
  name: byteString('testfile'), type: 'file', mode: 420, mtime: '2014-12-06T17:50:23.34513538+01:00', atime: '2014-12-06T17:50:23.338468713+01:00',
  ctime: '2014-12-06T17:50:23.34513538+01:00', uid: 1000, gid: 100, user: 'fd0', inode: 416863351, size: 1234, links: 1,
  content: ['50f77b3b4291e8411a027b9f9b9e64658181cc676ce6ba9958b95f268cb1109d'],
};

describe('a tree', () => {
  it('has the bytes that design.rst shows for a file', () => {
    expect(encodeNode(plainNode)).toBe(
      '{"name":"testfile","type":"file","mode":420,"mtime":"2014-12-06T17:50:23.34513538+01:00","atime":"2014-12-06T17:50:23.338468713+01:00",' +
        '"ctime":"2014-12-06T17:50:23.34513538+01:00","uid":1000,"gid":100,"user":"fd0","inode":416863351,"size":1234,"links":1,' +
        '"content":["50f77b3b4291e8411a027b9f9b9e64658181cc676ce6ba9958b95f268cb1109d"]}',
    );
  });

  it('comes back from its bytes: links, devices, attributes and inodes beyond 2^53', () => {
    const nodes: Node[] = [
      { ...plainNode, name: byteString('a\xff"\\\n'), inode: 18446744073709551615n, deviceId: 2049, links: 2 },
      { ...plainNode, name: byteString('b'), type: 'symlink', size: undefined, content: null, linkTarget: byteString('x\xfe<&>') },
      { ...plainNode, name: byteString('c'), type: 'dev', size: undefined, content: null, device: 2064 },
      { ...plainNode, name: byteString('d'), content: [], size: undefined, extendedAttributes: [{ name: byteString('user.x'), value: Buffer.from([0, 255]) }] },
      { ...plainNode, name: byteString('e'), type: 'dir', size: undefined, content: null, subtree: 'ab'.repeat(32) },
    ];
    const json = encodeTree({ nodes });

    const parsed = parseTree(json, 'tree');

    expect(encodeTree(parsed).equals(json)).toBe(true);
    expect(parsed.nodes[0]).toMatchObject({ name: 'a\xff"\\\n', inode: 18446744073709551615n });
    expect(parsed.nodes[1]?.linkTarget).toBe('x\xfe<&>');
  });

  it.each([
    ['no JSON', '{"nodes":['],
    ['a list', '[]'],
    ['a node that is a text', '{"nodes":["x"]}'],
    ['a directory without a tree', '{"nodes":[{"name":"x","type":"dir"}]}'],
    ['an unknown type', '{"nodes":[{"name":"x","type":"hole"}]}'],
    ['content that is no id', '{"nodes":[{"name":"x","type":"file","content":["../../x"]}]}'],
    ['a negative size', '{"nodes":[{"name":"x","type":"file","size":-1}]}'],
    ['a name that is not quoted', '{"nodes":[{"name":"\\\\q","type":"file"}]}'],
  ])('with %s is damaged', (_name, json) => {
    expect(() => parseTree(Buffer.from(json), 'tree')).toThrow(expect.objectContaining({ code: 'Damaged' }));
  });
});

describe('names', () => {
  // Each was printed by Go: strconv.Quote of the bytes, without the outer quotes.
  it.each([
    ['plain.txt', 'plain.txt'],
    ['tab\there', String.raw`tab\there`],
    ['quote"back\\slash', String.raw`quote\"back\\slash`],
    ['\x01\x7f', String.raw`\x01\x7f`],
    ['\xff\xfe', String.raw`\xff\xfe`],
    ['\xc3\xa4', 'ä'],
    ['\xc2\xa0', String.raw`\u00a0`],
    ['\xe2\x80\xa8', String.raw`\u2028`],
    ['\xf3\xa0\x80\x81', String.raw`\U000e0001`],
    ['\xf0\x9f\x98\x80', '😀'],
    ['\xed\xa0\x80', String.raw`\xed\xa0\x80`],
    ['\xc0\x80', String.raw`\xc0\x80`],
  ])('%j are quoted as Go quotes them', (name, quoted) => {
    expect(goQuote(byteString(name))).toBe(quoted);
    expect(goUnquote(quoted)).toBe(name);
  });

  it('survive quoting, whatever their bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const name = byteString(Buffer.from(bytes).toString('latin1'));
      expect(goUnquote(goQuote(name))).toBe(name);
    }), { numRuns: 2000 });
  });

  it('survive quoting when they are text of any script', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => {
      const name = byteStringFromText(text);
      expect(goUnquote(goQuote(name))).toBe(name);
    }), { numRuns: 2000 });
  });

  it('have an escaped replacement for each byte that is not UTF-8 where Go writes JSON', () => {
    expect(goJsonBytes(byteString('a\xff\xfe<'))).toBe(String.raw`"a\ufffd\ufffd\u003c"`);
  });
});

describe('times', () => {
  it.each([
    [{ seconds: 0, nanoseconds: 0 }, '1970-01-01T00:00:00Z'],
    [{ seconds: -1, nanoseconds: 999_999_999 }, '1969-12-31T23:59:59.999999999Z'],
    [{ seconds: 951_826_245, nanoseconds: 120_000_000 }, '2000-02-29T12:10:45.12Z'],
    [{ seconds: 253_402_300_799, nanoseconds: 1 }, '9999-12-31T23:59:59.000000001Z'],
    [{ seconds: -62_167_219_200, nanoseconds: 0 }, '0000-01-01T00:00:00Z'],
  ])('%j is written %s and read back', (time, text) => {
    expect(formatTime(time)).toBe(text);
    expect(parseTime(text)).toEqual(time);
  });

  it('beyond the year 9999 keep everything but the year, as restic does', () => {
    expect(formatTime({ seconds: 253_402_300_800 + 86_400, nanoseconds: 5 })).toBe('9999-01-02T00:00:00.000000005Z');
  });

  it('agree with the platform between the years 0 and 9999', () => {
    fc.assert(fc.property(fc.integer({ min: -62_167_219_200, max: 253_402_300_799 }), (seconds) => {
      expect(formatTime({ seconds, nanoseconds: 0 })).toBe(new Date(seconds * 1000).toISOString().replace('.000Z', 'Z'));
    }));
  });

  it('are the same instant with another offset', () => {
    expect(isSameTime('2014-12-06T17:50:23.5+01:00', '2014-12-06T16:50:23.500Z')).toBe(true);
    expect(isSameTime('2014-12-06T17:50:23.5+01:00', '2014-12-06T17:50:23.5Z')).toBe(false);
    expect(parseTime('2014-13-06T17:50:23Z')).toBeUndefined();
  });
});

describe('modes', () => {
  it.each([
    [0o100644, 0o644], [0o104755, 0o755 + 2 ** 23], [0o041777, 0o777 + 2 ** 31 + 2 ** 20], [0o120777, 134_218_239],
    [0o020600, 0o600 + 2 ** 26 + 2 ** 21], [0o060600, 0o600 + 2 ** 26], [0o010600, 0o600 + 2 ** 25], [0o140600, 0o600 + 2 ** 24],
  ])('%o is %d for Go', (mode, goMode) => {
    expect(goModeOf(mode)).toBe(goMode);
    expect(permissionsOf(goMode)).toBe(mode & 0o7777);
  });
});

const blobs = fc.array(fc.record({
  type: fc.constantFrom('data', 'tree'),
  id: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex')),
  length: fc.integer({ min: 32, max: 9_000_000 }),
  uncompressedLength: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 9_000_000 })),
}), { maxLength: 20 }).map((list) => {
  let offset = 0;
  return list.map((blob): PackedBlob => ({ ...blob, offset: (offset += blob.length) - blob.length }));
});

describe('packs', () => {
  it('tell their blobs in their header', () => {
    fc.assert(fc.property(blobs, (list) => {
      const end = list.reduce((sum, blob) => sum + blob.length, 0);
      expect(parsePackHeader(encodePackHeader(list), end, 'pack')).toEqual(list);
      expect(() => parsePackHeader(encodePackHeader(list), end + 1, 'pack')).toThrow(expect.objectContaining({ code: 'Damaged' }));
    }));
  });

  it('of random bytes are damaged, never a crash', () => {
    fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.nat(1000), (bytes, end) => {
      try {
        parsePackHeader(bytes, end, 'pack');
      } catch (error) {
        expect(error).toMatchObject({ code: 'Damaged' });
      }
    }), { numRuns: 2000 });
  });

  it('are listed in the index', () => {
    fc.assert(fc.property(blobs, (list) => {
      const packId = 'cd'.repeat(32);
      const seen: PackedBlob[] = [];
      parseIndex(encodeIndex([{ id: packId, blobs: list }]), 'index', (pack, blob) => {
        expect(pack).toBe(packId);
        seen.push(blob);
      });
      expect(seen).toEqual(list);
    }));
  });
});

describe('compression', () => {
  it('never unpacks more than it was told to', () => {
    const bomb = compress(Buffer.alloc(50_000_000));
    expect(() => decompress(bomb, 1_000_000, 'blob')).toThrow(expect.objectContaining({ code: 'Damaged' }));
    expect(decompress(bomb, 50_000_000, 'blob')).toHaveLength(50_000_000);
  });
});

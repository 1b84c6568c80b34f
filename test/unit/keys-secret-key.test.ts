import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { generateSecretKey, KeyError, looksLikeSecretKey, passwordFrom, readSecretKey, writeSecretKey } from '../../src/keys/index.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (written: Uint8Array): string => new TextDecoder().decode(written);
const anyKey = fc.uint8Array({ minLength: 32, maxLength: 32 });

/** RFC 4648 base32, lower case, the slow and obvious way: the oracle. */
function base32(data: Uint8Array): string {
  const bits = [...data].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{1,5}/g) ?? []).map((group) => 'abcdefghijklmnopqrstuvwxyz234567'[parseInt(group.padEnd(5, '0'), 2)]).join('');
}

describe('the written form of a secret key', () => {
  it('of 32 zero bytes is this, for ever', () => {
    expect(text(writeSecretKey(new Uint8Array(32)))).toBe('tbk1-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-mzuh');
  });

  it('of the bytes 0 to 31 is this, for ever', () => {
    const key = Uint8Array.from({ length: 32 }, (_, index) => index);
    expect(text(writeSecretKey(key))).toBe('tbk1-aaaq-eaye-auda-ocaj-bifq-ydio-b4ib-ceqt-cqkr-mfyy-denb-wha5-dypq-mmg4');
  });

  it('is that of layout.md for every key, and reads back', () => {
    fc.assert(
      fc.property(anyKey, (key) => {
        expect(text(writeSecretKey(key))).toBe(expected(key));
        expect(readSecretKey(writeSecretKey(key))).toEqual(key);
      }),
    );
  });

  it('is read in any case, with white space and hyphens anywhere or nowhere', () => {
    const spelling = fc.array(fc.tuple(fc.boolean(), fc.constantFrom('', '', ' ', '-', '\n', '\t', '\u00a0', '\u2013', ' - ')), { minLength: 76, maxLength: 76 });
    fc.assert(
      fc.property(anyKey, spelling, (key, changes) => {
        const typed = Array.from(expected(key).replaceAll('-', '')).map((character, index) => {
          const [upper, after] = changes[index]!;
          return (upper ? character.toUpperCase() : character) + after;
        });
        expect(readSecretKey(bytes(typed.join('')))).toEqual(key);
        expect(text(passwordFrom(bytes(typed.join(''))))).toBe(expected(key));
      }),
    );
  });

  it('is read with 0, 1 and 8 typed for the letters they look like', () => {
    fc.assert(
      fc.property(anyKey, (key) => {
        const written = expected(key);
        const typed = `tbk1${written.slice(4).replaceAll('o', '0').replaceAll('l', '1').replaceAll('b', '8')}`;
        expect(readSecretKey(bytes(typed))).toEqual(key);
      }),
    );
  });

  it('with one character changed is refused, but for one in a million', () => {
    fc.assert(
      fc.property(anyKey, fc.nat({ max: 55 }), fc.constantFrom(...Array.from('abcdefghijklmnopqrstuvwxyz234567')), (key, position, character) => {
        const characters = Array.from(expected(key).replaceAll('-', ''));
        fc.pre(characters[4 + position] !== character);
        characters[4 + position] = character;
        expect(() => readSecretKey(bytes(characters.join('')))).toThrow(KeyError);
      }),
      { seed: 7, numRuns: 500 },
    );
  });

  it.each([
    ['', 'does not begin with tbk1'],
    ['hunter2', 'does not begin with tbk1'],
    ['tbk1-aaaa', 'some are missing'],
    ['tbk1-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-mzuh-aaaa', 'too many'],
    ['tbk1-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-mzui', 'checksum'],
    ['tbk1-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaab-mzuh', 'last character before the checksum'],
    ['tbk1-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-a!aa-mzuh', 'not a letter'],
  ])('"%s" is refused in words: %s', (typed, words) => {
    expect(() => readSecretKey(bytes(typed))).toThrow(words);
  });

  it('never throws anything but a KeyError, and never repeats what was typed', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.string({ maxLength: 100 }).map((end) => bytes(`tbk1${end}`))), (typed) => {
        try {
          readSecretKey(typed);
        } catch (error) {
          if (!(error instanceof KeyError)) throw error;
          expect(error.code).toBe('InvalidKey');
          if (text(typed).trim().length > 8) expect(error.message).not.toContain(text(typed).trim());
        }
      }),
    );
  });

  it('leaves other passwords as they are, in a copy', () => {
    const typed = bytes('  Correct horse-Battery ');
    const password = passwordFrom(typed);
    typed.fill(0);
    expect(text(password)).toBe('  Correct horse-Battery ');
    expect(looksLikeSecretKey(bytes(' TBK1 aaaa'))).toBe(true);
    expect(looksLikeSecretKey(bytes('tbk2-aaaa'))).toBe(false);
  });

  it('is made of fresh randomness', () => {
    expect(generateSecretKey()).not.toEqual(generateSecretKey());
    expect(generateSecretKey()).toHaveLength(32);
  });
});

function expected(key: Uint8Array): string {
  const check = base32(createHash('sha256').update(key).digest()).slice(0, 4);
  return ['tbk1', ...(base32(key).match(/.{4}/g) ?? []), check].join('-');
}

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CipherKey, encodeKeyFile, openKeyFile, parseConfig, parseKeyFile } from '../../src/restic/format/index.ts';
import { isIrreducible, randomIrreducible } from '../../src/restic/format/polynomial.ts';

function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(/[^0-9a-f]/g, ''), 'hex'));
}

/** Appendix B of the Poly1305-AES paper: k, r, nonce, message and authenticator. */
const paperVectors = [
  {
    r: '851fc40c3467ac0be05cc20404f3f700', k: 'ec074c835580741701425b623235add6', nonce: 'fb447350c4e868c52ac3275cf9d4327e',
    message: 'f3f6', mac: 'f4c633c3044fc145f84f335cb81953de',
  },
  {
    r: 'a0f3080000f46400d0c7e9076c834403', k: '75deaa25c09f208e1dc4ce6b5cad3fbf', nonce: '61ee09218d29b0aaed7e154a2c5509cc',
    message: '', mac: 'dd3fab2251f11ac759f0887129cc2ee7',
  },
  {
    r: '48443d0bb0d21109c89a100b5ce2c208', k: '6acb5f61a7176dd320c5c1eb2edcdc74', nonce: 'ae212a55399729595dea458bc621ff0e',
    message: '663cea190ffb83d89593f3f476b6bc24d7e679107ea26adb8caf6652d0656136', mac: '0ee1c16bb73f0f4fd19881753c01cdbe',
  },
];

describe('the cipher', () => {
  it.each(paperVectors)('authenticates message "$message" as the Poly1305-AES paper does', ({ r, k, nonce, message, mac }) => {
    const key = new CipherKey(hex('00'.repeat(32) + k + r));
    const forged = Buffer.concat([hex(nonce), hex(message), hex(mac)]);

    expect(key.open(forged)).toBeDefined();

    const flipped = Buffer.from(forged);
    flipped[flipped.length - 1] = (flipped.at(-1) ?? 0) ^ 1;
    expect(key.open(flipped)).toBeUndefined();
  });

  it('encrypts as AES-256-CTR does in NIST SP 800-38A, F.5.5', () => {
    const key = new CipherKey(hex('603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4' + '00'.repeat(32)));
    const plaintext = hex('6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51');
    const sealed = new Uint8Array(plaintext.length + 32);
    sealed.set(hex('f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff'));

    key.sealInto(plaintext, sealed);

    expect(Buffer.from(sealed.subarray(16, 48)).toString('hex')).toBe('601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5');
  });

  it('opens what it sealed, and nothing with a bit flipped or cut off', () => {
    const key = CipherKey.generate();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(), (plaintext, position) => {
        const sealed = key.seal(plaintext);
        expect(Buffer.from(key.open(sealed) ?? 'none').equals(Buffer.from(plaintext))).toBe(true);
        const flipped = new Uint8Array(sealed);
        const bit = position % (flipped.length * 8);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(key.open(flipped)).toBeUndefined();
        expect(key.open(sealed.subarray(0, position % sealed.length))).toBeUndefined();
      }),
    );
  });
});

describe('a key file', () => {
  it('opens with its password and with no other', async () => {
    const master = CipherKey.generate();
    const password = Buffer.from('tbk1-of-a-test');

    const file = parseKeyFile(await encodeKeyFile(master, password, new Date(0)), 'keys/test');
    const opened = await openKeyFile(file, password, 'keys/test');

    expect(opened?.material).toEqual(master.material);
    expect(await openKeyFile(file, Buffer.from('another'), 'keys/test')).toBeUndefined();
  });

  it.each([
    ['a billion rounds', { N: 2 ** 30 }],
    ['a cost that is no power of two', { N: 1000 }],
    ['no rounds', { N: 0 }],
    ['much parallelism', { p: 1e6 }],
    ['another function', { kdf: 'argon2' }],
    ['a number as salt', { salt: 7 }],
  ])('with %s is refused before any work', async (_name, change) => {
    const good = JSON.parse(Buffer.from(await encodeKeyFile(CipherKey.generate(), Buffer.from('x'), new Date(0))).toString()) as object;
    expect(() => parseKeyFile(Buffer.from(JSON.stringify({ ...good, ...change })), 'keys/test')).toThrow(expect.objectContaining({ code: 'Damaged' }));
  });
});

describe('the config', () => {
  const good = { version: 2, id: 'ab'.repeat(32), chunker_polynomial: '25b468838dcb75' };
  const parse = (change: object) => parseConfig(Buffer.from(JSON.stringify({ ...good, ...change })));

  it('accepts the polynomial of design.rst and refuses its reducible neighbour', () => {
    expect(parse({}).chunkerPolynomial).toBe('25b468838dcb75');
    expect(() => parse({ chunker_polynomial: '25b468838dcb74' })).toThrow(expect.objectContaining({ code: 'Damaged' }));
  });

  it('of an unknown version is refused with its number', () => {
    expect(() => parse({ version: 3 })).toThrow(/format version 3/);
  });

  it('tells irreducible polynomials from others (all of degree 4 and below)', () => {
    const irreducible = Array.from({ length: 30 }, (_, i) => i + 2).filter((p) => isIrreducible(BigInt(p)));
    expect(irreducible).toEqual([0b10, 0b11, 0b111, 0b1011, 0b1101, 0b10011, 0b11001, 0b11111]);
  });

  it('gets a random polynomial of degree 53', () => {
    const polynomial = randomIrreducible();
    expect(polynomial.toString(2)).toHaveLength(54);
    expect(isIrreducible(polynomial)).toBe(true);
  });
});

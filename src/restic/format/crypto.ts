import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes, randomFillSync, type Cipheriv } from 'node:crypto';
import sodium from 'sodium-native';
import { letGo } from './let-go.ts';

/** What encryption adds to a plaintext: a 16-byte nonce before, a 16-byte MAC after (design.rst "Keys, Encryption and MAC"). */
export const sealOverhead = 32;
export const nonceLength = 16;
export const macLength = 16;

/** Bytes of a key: AES-256 key ‖ AES-128 key k of the MAC ‖ r of the MAC. */
export const keyMaterialLength = 64;

/**
 * A restic key: AES-256-CTR for secrecy, Poly1305-AES for integrity (https://cr.yp.to/mac/poly1305-20050329.pdf), where the
 * one-time key is r ‖ AES-128_k(nonce) and the nonce doubles as CTR's initial counter block.
 */
export class CipherKey {
  readonly #material: Uint8Array;
  readonly #nonceCipher: Cipheriv;
  readonly #oneTimeKey = Buffer.alloc(32);

  /** @param material - 64 bytes: encrypt ‖ k ‖ r; kept, not copied, and zeroed by `wipe` */
  constructor(material: Uint8Array) {
    if (material.length !== keyMaterialLength) throw new RangeError('a restic key has 64 bytes');
    this.#material = material;
    // ECB has no state between blocks, so one cipher serves every nonce.
    this.#nonceCipher = createCipheriv('aes-128-ecb', material.subarray(32, 48), null).setAutoPadding(false);
  }

  static generate(): CipherKey {
    const material = new Uint8Array(keyMaterialLength);
    randomFillSync(material);
    clampMacKey(material.subarray(48));
    return new CipherKey(material);
  }

  /** For key files and worker threads only. */
  get material(): Uint8Array {
    return this.#material;
  }

  /** nonce ‖ ciphertext ‖ MAC, with a fresh random nonce. */
  seal(plaintext: Uint8Array): Uint8Array {
    const sealed = Buffer.allocUnsafeSlow(plaintext.length + sealOverhead);
    randomFillSync(sealed, 0, nonceLength);
    this.sealInto(plaintext, sealed);
    return sealed;
  }

  /** As `seal`, into a buffer of exactly the right length whose first 16 bytes already hold a fresh random nonce. */
  sealInto(plaintext: Uint8Array, sealed: Uint8Array): void {
    const nonce = sealed.subarray(0, nonceLength);
    const end = nonceLength + plaintext.length;
    const cipher = createCipheriv('aes-256-ctr', this.#material.subarray(0, 32), nonce);
    sealed.set(cipher.update(plaintext), nonceLength);
    sodium.crypto_onetimeauth(sealed.subarray(end), sealed.subarray(nonceLength, end), this.#macKeyFor(nonce));
  }

  /** Seals what comes in pieces. */
  sealing(): SealingStream {
    const nonce = randomBytes(nonceLength);
    return new SealingStream(nonce, createCipheriv('aes-256-ctr', this.#material.subarray(0, 32), nonce), this.#macKeyFor(nonce));
  }

  /** As `open`, in pieces of that length, each valid during the call only; false when the MAC does not match: then there were none. */
  openInPieces(sealed: Uint8Array, length: number, emit: (piece: Uint8Array) => void): boolean {
    if (sealed.length < sealOverhead) return false;
    const nonce = sealed.subarray(0, nonceLength);
    const ciphertext = sealed.subarray(nonceLength, sealed.length - macLength);
    if (!sodium.crypto_onetimeauth_verify(sealed.subarray(sealed.length - macLength), ciphertext, this.#macKeyFor(nonce))) return false;
    const decipher = createDecipheriv('aes-256-ctr', this.#material.subarray(0, 32), nonce);
    for (let at = 0; at < ciphertext.length; at += length) {
      const piece = decipher.update(ciphertext.subarray(at, at + length));
      emit(piece);
      letGo(piece);
    }
    return true;
  }

  /** The plaintext, or `undefined` when the MAC does not match: damaged, forged, or another key. */
  open(sealed: Uint8Array): Uint8Array | undefined {
    if (sealed.length < sealOverhead) return undefined;
    const nonce = sealed.subarray(0, nonceLength);
    const ciphertext = sealed.subarray(nonceLength, sealed.length - macLength);
    const mac = sealed.subarray(sealed.length - macLength);
    if (!sodium.crypto_onetimeauth_verify(mac, ciphertext, this.#macKeyFor(nonce))) return undefined;
    return createDecipheriv('aes-256-ctr', this.#material.subarray(0, 32), nonce).update(ciphertext);
  }

  /** HKDF-SHA256 over the whole key with an empty salt; `info` separates the uses. */
  derive(info: string, length: number): Uint8Array {
    return new Uint8Array(hkdfSync('sha256', this.#material, new Uint8Array(0), info, length));
  }

  wipe(): void {
    this.#material.fill(0);
    this.#oneTimeKey.fill(0);
  }

  #macKeyFor(nonce: Uint8Array): Uint8Array {
    this.#oneTimeKey.set(this.#material.subarray(48, 64), 0);
    this.#oneTimeKey.set(this.#nonceCipher.update(nonce), 16);
    return this.#oneTimeKey;
  }
}

/** nonce ‖ ciphertext ‖ MAC of a plaintext that comes in pieces, as pieces; and the SHA-256 of it all, which is its name in a repository. */
export class SealingStream {
  readonly #parts: Uint8Array[] = [];
  readonly #cipher: Cipheriv;
  readonly #mac = Buffer.alloc(sodium.crypto_onetimeauth_STATEBYTES);
  readonly #sha256 = createHash('sha256');
  #size = 0;

  constructor(nonce: Uint8Array, cipher: Cipheriv, macKey: Uint8Array) {
    this.#cipher = cipher;
    sodium.crypto_onetimeauth_init(this.#mac, macKey);
    this.#add(nonce);
  }

  push(plaintext: Uint8Array): void {
    if (plaintext.length === 0) return;
    const ciphertext = this.#cipher.update(plaintext);
    sodium.crypto_onetimeauth_update(this.#mac, ciphertext);
    this.#add(ciphertext);
  }

  finish(): { readonly parts: readonly Uint8Array[]; readonly size: number; readonly sha256: Buffer } {
    const mac = Buffer.alloc(macLength);
    sodium.crypto_onetimeauth_final(this.#mac, mac);
    this.#add(mac);
    return { parts: this.#parts, size: this.#size, sha256: this.#sha256.digest() };
  }

  #add(part: Uint8Array): void {
    this.#parts.push(part);
    this.#sha256.update(part);
    this.#size += part.length;
  }
}

/** Clears the 22 bits of r that Poly1305 fixes at zero, as restic does when it makes a key. */
export function clampMacKey(r: Uint8Array): void {
  for (const index of [3, 7, 11, 15]) r[index] = (r[index] ?? 0) & 15;
  for (const index of [4, 8, 12]) r[index] = (r[index] ?? 0) & 252;
}

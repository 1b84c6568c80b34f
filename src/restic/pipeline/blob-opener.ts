import { createCipheriv, createDecipheriv, hash } from 'node:crypto';
import { constants, zstdDecompressSync } from 'node:zlib';
import sodium from 'sodium-native';
import { bindOpener, macLength, nonceLength, sealOverhead, type NativeOpener } from '../format/index.ts';

/** No chunker makes more; restic's own limit for a chunk is 8 MiB, a tree may be larger. */
const largestBlob = 1024 * 1024 * 1024;

/**
 * Verifies, decrypts and decompresses blobs, one thread's worth. Where the running Node exports zstd and OpenSSL it calls them directly
 * with contexts that are kept, which on blobs of a few KiB takes a third of the time; else Node's own modules do the same.
 */
export class BlobOpener {
  readonly #material: Uint8Array;
  readonly #native: NativeOpener | undefined;
  readonly #nonceCipher;
  readonly #oneTimeKey = Buffer.alloc(32);
  readonly #digest = Buffer.alloc(32);
  #compressed = Buffer.alloc(0);
  #plain = Buffer.alloc(0);

  constructor(material: Uint8Array, useNative = true) {
    this.#material = material;
    this.#native = useNative ? bindOpener(material.subarray(0, 32)) : undefined;
    this.#nonceCipher = createCipheriv('aes-128-ecb', material.subarray(32, 48), null).setAutoPadding(false);
  }

  /**
   * @param id - SHA-256 of the plaintext, hex
   * @returns the plaintext, valid until the next call; `undefined` when anything does not verify
   */
  open(sealed: Uint8Array, uncompressedLength: number, id: string): Uint8Array | undefined {
    if (sealed.length < sealOverhead || uncompressedLength > largestBlob) return undefined;
    const nonce = sealed.subarray(0, nonceLength);
    const body = sealed.subarray(nonceLength, sealed.length - macLength);
    this.#oneTimeKey.set(this.#material.subarray(48, 64), 0);
    this.#oneTimeKey.set(this.#nonceCipher.update(nonce), 16);
    if (!sodium.crypto_onetimeauth_verify(sealed.subarray(sealed.length - macLength), body, this.#oneTimeKey)) return undefined;
    const plain = this.#native === undefined ? this.#openPortably(nonce, body, uncompressedLength) : this.#openDirectly(this.#native, nonce, body, uncompressedLength);
    return plain !== undefined && this.#sha256(plain) === id ? plain : undefined;
  }

  /** Whether bytes read elsewhere are the blob's plaintext. */
  isPlaintext(bytes: Uint8Array, id: string): boolean {
    return this.#sha256(bytes) === id;
  }

  free(): void {
    this.#native?.free();
    this.#oneTimeKey.fill(0);
  }

  #openDirectly(native: NativeOpener, nonce: Uint8Array, body: Uint8Array, uncompressedLength: number): Uint8Array | undefined {
    if (uncompressedLength === 0) {
      this.#plain = ensured(this.#plain, body.length);
      native.applyCtr(nonce, body, this.#plain);
      return this.#plain.subarray(0, body.length);
    }
    this.#compressed = ensured(this.#compressed, body.length);
    this.#plain = ensured(this.#plain, uncompressedLength);
    native.applyCtr(nonce, body, this.#compressed);
    const length = native.decompress(this.#plain.subarray(0, uncompressedLength), this.#compressed.subarray(0, body.length));
    return length === uncompressedLength ? this.#plain.subarray(0, length) : undefined;
  }

  #openPortably(nonce: Uint8Array, body: Uint8Array, uncompressedLength: number): Uint8Array | undefined {
    const bytes = createDecipheriv('aes-256-ctr', this.#material.subarray(0, 32), nonce).update(body);
    if (uncompressedLength === 0) return bytes;
    try {
      const plain = zstdDecompressSync(bytes, { maxOutputLength: uncompressedLength, params: { [constants.ZSTD_d_windowLogMax]: 27 } });
      return plain.length === uncompressedLength ? plain : undefined;
    } catch {
      return undefined;
    }
  }

  #sha256(bytes: Uint8Array): string {
    if (this.#native === undefined) return hash('sha256', bytes, 'hex');
    this.#native.sha256(bytes, this.#digest);
    return this.#digest.toString('hex');
  }
}

function ensured(buffer: Buffer<ArrayBuffer>, length: number): Buffer<ArrayBuffer> {
  return buffer.length >= length ? buffer : Buffer.allocUnsafeSlow(Math.max(length, buffer.length * 2, 1 << 20));
}

import { createCipheriv, hash, randomFillSync } from 'node:crypto';
import { constants, zstdCompressSync } from 'node:zlib';
import sodium from 'sodium-native';
import type { Compression } from '../contract.ts';
import { macLength, nonceLength, sealOverhead, zstdLevel, zstdMaxLevel } from '../format/index.ts';
import { bindNative, type Native } from './native.ts';

/** What compression saves at least, a share of the plaintext; below it the blob is stored as it is. */
const worthwhileShare = 1 / 32;
/** Chunks from this length on are tried on samples first, so that packed or encrypted data is not compressed in vain. */
const sampleFrom = 256 * 1024;
const sampleLength = 8 * 1024;
const sampleCount = 4;
/**
 * What a sample shrinks to at the fastest level, a share: above it (pages of databases, say) the usual level would take twice the
 * time to save two percent more; below it (texts) it saves up to a tenth.
 */
const fastFromShare = 0.5;
const fastLevel = 1;

/**
 * For what is shorter than `sampleFrom`: the usual level with tables that fit into a core's own cache, a tenth faster on source files and
 * no larger by a thousandth.
 */
const smallParameters: Readonly<Record<number, number>> = {
  [constants.ZSTD_c_compressionLevel]: zstdLevel,
  [constants.ZSTD_c_hashLog]: 15,
  [constants.ZSTD_c_chainLog]: 14,
};

const noncePool = 256 * nonceLength;

/**
 * Hashes, compresses and seals blobs into the caller's buffers, one thread's worth: nothing is allocated for a blob. `BlobOpener` is its counterpart.
 * Buffers that it hands out are valid until its next call.
 */
export class BlobCodec {
  readonly #material: Uint8Array;
  readonly #native: Native | undefined;
  readonly #nonceCipher;
  readonly #oneTimeKey = Buffer.alloc(32);
  readonly #digest = Buffer.alloc(32);
  readonly #nonces = Buffer.alloc(noncePool);
  #nextNonce = noncePool;
  #scratch = Buffer.alloc(0);

  /** @param material - 64 bytes of a `CipherKey` */
  constructor(material: Uint8Array, useNative = true) {
    this.#material = material;
    this.#native = useNative ? bindNative(material.subarray(0, 32), smallParameters) : undefined;
    this.#nonceCipher = createCipheriv('aes-128-ecb', material.subarray(32, 48), null).setAutoPadding(false);
  }

  sha256(bytes: Uint8Array): Uint8Array {
    if (this.#native === undefined) return hash('sha256', bytes, 'buffer');
    this.#native.sha256(bytes, this.#digest);
    return this.#digest;
  }

  /** The compressed bytes, or `undefined` when that would not save enough. */
  compress(bytes: Uint8Array, compression: Compression = 'auto'): Uint8Array | undefined {
    if (compression === 'off') return undefined;
    // No samples: what repeats itself over more than their length shows in the whole alone.
    if (compression === 'max') return this.#compressWithin(bytes, bytes.length - 1, zstdMaxLevel);
    const level = bytes.length < sampleFrom ? 'small' : this.#levelFor(bytes);
    if (level === undefined) return undefined;
    const limit = bytes.length - Math.max(1, Math.floor(bytes.length * worthwhileShare));
    return this.#compressWithin(bytes, limit, level);
  }

  /** Writes nonce ‖ ciphertext ‖ MAC at `at`; returns the length written, `payload.length + 32`. */
  seal(payload: Uint8Array, target: Uint8Array, at: number): number {
    const nonce = target.subarray(at, at + nonceLength);
    const body = target.subarray(at + nonceLength, at + nonceLength + payload.length);
    this.#drawNonce(nonce);
    if (this.#native === undefined) body.set(createCipheriv('aes-256-ctr', this.#material.subarray(0, 32), nonce).update(payload));
    else this.#native.applyCtr(nonce, payload, body);
    const macAt = at + nonceLength + payload.length;
    sodium.crypto_onetimeauth(target.subarray(macAt, macAt + macLength), body, this.#macKeyFor(nonce));
    return payload.length + sealOverhead;
  }

  free(): void {
    this.#native?.free();
    this.#oneTimeKey.fill(0);
  }

  /** `undefined` when no sample shrinks. */
  #levelFor(bytes: Uint8Array): number | undefined {
    const stride = Math.floor((bytes.length - sampleLength) / (sampleCount - 1));
    let total = 0;
    for (let i = 0; i < sampleCount; i += 1) {
      const sample = bytes.subarray(i * stride, i * stride + sampleLength);
      total += this.#compressWithin(sample, Math.floor(sampleLength * (1 - worthwhileShare)), fastLevel)?.length ?? sampleLength;
    }
    const whole = sampleCount * sampleLength;
    if (total === whole) return undefined;
    return total > whole * fastFromShare ? fastLevel : zstdLevel;
  }

  #compressWithin(bytes: Uint8Array, limit: number, level: number | 'small'): Uint8Array | undefined {
    if (limit < 1) return undefined;
    if (this.#native === undefined) {
      const params = level === 'small' ? smallParameters : { [constants.ZSTD_c_compressionLevel]: level };
      const frame = zstdCompressSync(bytes, { params });
      return frame.length <= limit ? frame : undefined;
    }
    const target = this.#scratchOf(limit);
    const length = level === 'small' ? this.#native.compressSmall(target, bytes) : this.#native.compress(target, bytes, level);
    return length < 0 ? undefined : target.subarray(0, length);
  }

  #scratchOf(length: number): Buffer {
    if (this.#scratch.length < length) this.#scratch = Buffer.allocUnsafeSlow(Math.max(length, this.#scratch.length * 2, 1 << 20));
    return this.#scratch.subarray(0, length);
  }

  #macKeyFor(nonce: Uint8Array): Uint8Array {
    this.#oneTimeKey.set(this.#material.subarray(48, 64), 0);
    this.#oneTimeKey.set(this.#nonceCipher.update(nonce), 16);
    return this.#oneTimeKey;
  }

  #drawNonce(nonce: Uint8Array): void {
    if (this.#nextNonce === noncePool) {
      randomFillSync(this.#nonces);
      this.#nextNonce = 0;
    }
    nonce.set(this.#nonces.subarray(this.#nextNonce, this.#nextNonce + nonceLength));
    this.#nextNonce += nonceLength;
  }
}

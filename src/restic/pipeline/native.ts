import { createRequire } from 'node:module';

/**
 * Functions of zstd and OpenSSL that lie in the running Node itself, called directly: contexts are kept and results go where the caller
 * says, which `node:zlib` and `node:crypto` cannot do. On files of a few KiB that is three times as fast. Where a Node does not
 * export them, `bindNative` gives `undefined` and the caller uses Node's own modules: the bytes are the same.
 */
export interface Native {
  /** Bytes of the frame written, or a negative number when it did not fit. */
  compress(target: Uint8Array, source: Uint8Array, level: number): number;
  /** As `compress` with the parameters given to `bindNative`. */
  compressSmall(target: Uint8Array, source: Uint8Array): number;
  /** Bytes written, or a negative number when the frame is broken or does not fit. */
  decompress(target: Uint8Array, source: Uint8Array): number;
  /** AES-256-CTR of `source` into `target` of the same length, which decrypts too; `iv`: 16 bytes. */
  encryptCtr(iv: Uint8Array, source: Uint8Array, target: Uint8Array): void;
  sha256(source: Uint8Array, target: Uint8Array): void;
  free(): void;
}

type Foreign = (...args: unknown[]) => unknown;

/**
 * @param key - of AES-256, 32 bytes; OpenSSL keeps a schedule of it until `free`
 * @param small - parameters of zstd by their numbers (zstd.h `ZSTD_cParameter`) for `compressSmall`
 */
export function bindNative(key: Uint8Array, small: Readonly<Record<number, number>>): Native | undefined {
  const functions = loadFunctions();
  if (functions === undefined) return undefined;
  const { createContext, setParameter, compressContext, compressPrepared, freeContext, createDecompressor, decompressContext, freeDecompressor, isError, newCipher, freeCipher, aes256Ctr, initCipher, updateCipher, sha256 } = functions;
  const compressor = createContext();
  const smallCompressor = createContext();
  for (const [parameter, value] of Object.entries(small)) setParameter(smallCompressor, Number(parameter), value);
  const decompressor = createDecompressor();
  const cipher = newCipher();
  if (initCipher(cipher, aes256Ctr(), null, key, new Uint8Array(16)) !== 1) return undefined;
  const written = new Int32Array(1);
  // A second `free`, or a call after it, would corrupt the memory of the whole process.
  let isFree = false;
  function assertOpen(): void {
    if (isFree) throw new Error('a codec was used after it was freed');
  }
  return {
    compress(target, source, level) {
      assertOpen();
      const length = compressContext(compressor, target, target.length, source, source.length, level);
      return isError(length) === 0 ? Number(length) : -1;
    },
    compressSmall(target, source) {
      assertOpen();
      const length = compressPrepared(smallCompressor, target, target.length, source, source.length);
      return isError(length) === 0 ? Number(length) : -1;
    },
    decompress(target, source) {
      assertOpen();
      const length = decompressContext(decompressor, target, target.length, source, source.length);
      return isError(length) === 0 ? Number(length) : -1;
    },
    encryptCtr(iv, source, target) {
      assertOpen();
      if (initCipher(cipher, null, null, null, iv) !== 1 || updateCipher(cipher, target, written, source, source.length) !== 1) {
        throw new Error('OpenSSL refused to encrypt');
      }
    },
    sha256(source, target) {
      sha256(source, source.length, target);
    },
    free() {
      if (isFree) return;
      isFree = true;
      freeContext(compressor);
      freeContext(smallCompressor);
      freeDecompressor(decompressor);
      freeCipher(cipher);
    },
  };
}

/** Where a buffer lies in memory; `undefined` where nothing tells. It holds as long as the buffer is alive. */
export function addressOf(bytes: Uint8Array): bigint | undefined {
  try {
    return (createRequire(import.meta.url)('koffi') as typeof import('koffi')).address(bytes);
  } catch {
    return undefined;
  }
}

function loadFunctions(): Record<keyof typeof prototypes, Foreign> | undefined {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    const program = koffi.load(null);
    const entries = Object.entries(prototypes).map(([name, prototype]) => [name, program.func(prototype) as Foreign] as const);
    return Object.fromEntries(entries) as Record<keyof typeof prototypes, Foreign>;
  } catch {
    return undefined;
  }
}

const prototypes = {
  createContext: 'void *ZSTD_createCCtx()',
  compressContext: 'size_t ZSTD_compressCCtx(void *context, void *target, size_t capacity, void *source, size_t length, int level)',
  setParameter: 'size_t ZSTD_CCtx_setParameter(void *context, int parameter, int value)',
  compressPrepared: 'size_t ZSTD_compress2(void *context, void *target, size_t capacity, void *source, size_t length)',
  freeContext: 'size_t ZSTD_freeCCtx(void *context)',
  createDecompressor: 'void *ZSTD_createDCtx()',
  decompressContext: 'size_t ZSTD_decompressDCtx(void *context, void *target, size_t capacity, void *source, size_t length)',
  freeDecompressor: 'size_t ZSTD_freeDCtx(void *context)',
  isError: 'uint ZSTD_isError(size_t code)',
  newCipher: 'void *EVP_CIPHER_CTX_new()',
  freeCipher: 'void EVP_CIPHER_CTX_free(void *context)',
  aes256Ctr: 'void *EVP_aes_256_ctr()',
  initCipher: 'int EVP_EncryptInit_ex(void *context, void *cipher, void *engine, void *key, void *iv)',
  updateCipher: 'int EVP_EncryptUpdate(void *context, void *target, void *written, void *source, int length)',
  sha256: 'void *SHA256(void *source, size_t length, void *digest)',
};

import { nodeFunctions } from './node-functions.ts';

/** What opening a sealed blob takes, by the functions of Node's own libraries. */
export interface NativeOpener {
  /** Bytes written, or a negative number for what is no valid frame or does not fit. */
  decompress(target: Uint8Array, frame: Uint8Array): number;
  /** AES-256-CTR of `source` into `target` of the same length, which encrypts and decrypts; `iv`: 16 bytes. */
  applyCtr(iv: Uint8Array, source: Uint8Array, target: Uint8Array): void;
  sha256(source: Uint8Array, target: Uint8Array): void;
  /** A call afterwards would corrupt the memory of the whole process, and is refused. */
  free(): void;
}

const prototypes = {
  createContext: 'void *ZSTD_createDCtx()',
  decompressContext: 'size_t ZSTD_decompressDCtx(void *context, void *target, size_t capacity, void *source, size_t length)',
  freeContext: 'size_t ZSTD_freeDCtx(void *context)',
  isError: 'uint ZSTD_isError(size_t code)',
  newCipher: 'void *EVP_CIPHER_CTX_new()',
  freeCipher: 'void EVP_CIPHER_CTX_free(void *context)',
  aes256Ctr: 'void *EVP_aes_256_ctr()',
  initCipher: 'int EVP_EncryptInit_ex(void *context, void *cipher, void *engine, void *key, void *iv)',
  updateCipher: 'int EVP_EncryptUpdate(void *context, void *target, void *written, void *source, int length)',
  sha256: 'void *SHA256(void *source, size_t length, void *digest)',
};

/** @param key - of AES-256, 32 bytes; OpenSSL keeps a schedule of it until `free` */
export function bindOpener(key: Uint8Array): NativeOpener | undefined {
  const functions = nodeFunctions(prototypes);
  if (functions === undefined) return undefined;
  const { createContext, decompressContext, freeContext, isError, newCipher, freeCipher, aes256Ctr, initCipher, updateCipher, sha256 } = functions;
  const zstd = createContext();
  const cipher = newCipher();
  if (initCipher(cipher, aes256Ctr(), null, key, new Uint8Array(16)) !== 1) return undefined;
  const written = new Int32Array(1);
  let isFree = false;
  function assertOpen(): void {
    if (isFree) throw new Error('an opener was used after it was freed');
  }
  return {
    decompress(target, frame) {
      assertOpen();
      const length = decompressContext(zstd, target, target.length, frame, frame.length);
      return isError(length) === 0 ? Number(length) : -1;
    },
    applyCtr(iv, source, target) {
      assertOpen();
      if (initCipher(cipher, null, null, null, iv) !== 1 || updateCipher(cipher, target, written, source, source.length) !== 1) {
        throw new Error('OpenSSL refused to encrypt or decrypt');
      }
    },
    sha256: (source, target) => void sha256(source, source.length, target),
    free() {
      if (isFree) return;
      isFree = true;
      freeContext(zstd);
      freeCipher(cipher);
    },
  };
}

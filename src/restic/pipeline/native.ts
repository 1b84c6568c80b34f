import { bindOpener, nodeFunctions, type NativeOpener } from '../format/index.ts';

/** What a blob's way into a pack takes, by the functions of Node's own libraries. On files of a few KiB that is three times as fast as Node's modules. */
export interface Native extends NativeOpener {
  /** Bytes of the frame written, or a negative number when it did not fit. */
  compress(target: Uint8Array, source: Uint8Array, level: number): number;
  /** As `compress` with the parameters given to `bindNative`. */
  compressSmall(target: Uint8Array, source: Uint8Array): number;
}

const prototypes = {
  createContext: 'void *ZSTD_createCCtx()',
  compressContext: 'size_t ZSTD_compressCCtx(void *context, void *target, size_t capacity, void *source, size_t length, int level)',
  setParameter: 'size_t ZSTD_CCtx_setParameter(void *context, int parameter, int value)',
  compressPrepared: 'size_t ZSTD_compress2(void *context, void *target, size_t capacity, void *source, size_t length)',
  freeContext: 'size_t ZSTD_freeCCtx(void *context)',
  isError: 'uint ZSTD_isError(size_t code)',
};

/**
 * @param key - of AES-256, 32 bytes; OpenSSL keeps a schedule of it until `free`
 * @param small - parameters of zstd by their numbers (zstd.h `ZSTD_cParameter`) for `compressSmall`
 */
export function bindNative(key: Uint8Array, small: Readonly<Record<number, number>>): Native | undefined {
  const functions = nodeFunctions(prototypes);
  const opener = functions === undefined ? undefined : bindOpener(key);
  if (functions === undefined || opener === undefined) return undefined;
  const { createContext, compressContext, setParameter, compressPrepared, freeContext, isError } = functions;
  const compressor = createContext();
  const smallCompressor = createContext();
  for (const [parameter, value] of Object.entries(small)) setParameter(smallCompressor, Number(parameter), value);
  // A second `free`, or a call after it, would corrupt the memory of the whole process.
  let isFree = false;
  function assertOpen(): void {
    if (isFree) throw new Error('a codec was used after it was freed');
  }
  return {
    ...opener,
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
    free() {
      if (isFree) return;
      isFree = true;
      freeContext(compressor);
      freeContext(smallCompressor);
      opener.free();
    },
  };
}

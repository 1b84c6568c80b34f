import { zstdDecompressSync } from 'node:zlib';
import { compress, levelFor } from './compression.ts';
import { damaged } from './damaged.ts';
import { letGo } from './let-go.ts';
import { nodeFunctions } from './node-functions.ts';

/** What is decompressed at a time, bytes. */
const pieceLength = 1024 * 1024;

const prototypes = {
  create: 'void *ZSTD_createDCtx()',
  free: 'size_t ZSTD_freeDCtx(void *context)',
  isError: 'uint ZSTD_isError(size_t code)',
  createCompressor: 'void *ZSTD_createCCtx()',
  freeCompressor: 'size_t ZSTD_freeCCtx(void *context)',
  bound: 'size_t ZSTD_compressBound(size_t length)',
  compressFrame: 'size_t ZSTD_compressCCtx(void *context, void *target, size_t capacity, void *source, size_t length, int level)',
  decompress: 'size_t ZSTD_decompressStream_simpleArgs(void *context, void *target, size_t capacity, void *written, void *source, size_t length, void *read)',
};

/**
 * Decompresses zstd frames that come in pieces, and hands the text on in pieces, all synchronously and in one buffer. Where the running Node
 * does not export zstd's own functions, the pieces are gathered and decompressed at the end.
 */
export class ZstdStream {
  readonly #what: string;
  readonly #emit: (piece: Uint8Array) => void;
  readonly #maxLength: number;
  readonly #native: Native | undefined;
  #gathered: Uint8Array[] = [];
  #length = 0;
  #isBetweenFrames = true;

  /**
   * @param maxLength - of the text, bytes: what unpacks to more is an attack
   * @param emit - gets pieces that are valid during the call only
   */
  constructor(what: string, maxLength: number, emit: (piece: Uint8Array) => void, useNative = true) {
    this.#what = what;
    this.#maxLength = maxLength;
    this.#emit = emit;
    this.#native = useNative ? bindNative() : undefined;
  }

  /** @throws {EngineError} `Damaged` */
  push(source: Uint8Array): void {
    const native = this.#native;
    if (native === undefined) {
      this.#gathered.push(Uint8Array.from(source));
      return;
    }
    for (let at = 0; ; ) {
      const { read, written, hint } = native.step(source.subarray(at));
      if (hint < 0) throw damaged(this.#what, 'it does not decompress');
      at += read;
      this.#isBetweenFrames = hint === 0;
      if (written > 0) this.#pass(native.target.subarray(0, written));
      // A full target may have more to give although all of the source was read.
      if (at === source.length && written < native.target.length) return;
    }
  }

  /** @throws {EngineError} `Damaged`, also when the last frame is cut short */
  end(): void {
    if (this.#native !== undefined) {
      if (!this.#isBetweenFrames) throw damaged(this.#what, 'it ends too soon');
      return;
    }
    const frames = Buffer.concat(this.#gathered.splice(0));
    try {
      this.#pass(zstdDecompressSync(frames, { maxOutputLength: this.#maxLength }));
    } catch (cause) {
      throw damaged(this.#what, 'it does not decompress', cause);
    }
  }

  free(): void {
    this.#native?.free();
  }

  #pass(piece: Uint8Array): void {
    this.#length += piece.length;
    if (this.#length > this.#maxLength) throw damaged(this.#what, 'it unpacks to an impossible length');
    this.#emit(piece);
  }
}

/** Compresses into one buffer that is kept, a frame at a time. */
export class FrameCompressor {
  readonly #functions = nodeFunctions(prototypes);
  readonly #context: unknown;
  #target = Buffer.alloc(0);
  #isFree = false;

  constructor() {
    this.#context = this.#functions?.createCompressor();
  }

  /** The frame, valid until the next call. */
  compress(source: Uint8Array): Uint8Array {
    if (this.#functions === undefined) return compress(source);
    if (this.#isFree) throw new Error('a compressor was used after it was freed');
    const { bound, compressFrame, isError } = this.#functions;
    const most = Number(bound(source.length));
    if (this.#target.length < most) this.#target = Buffer.allocUnsafeSlow(most);
    const code = compressFrame(this.#context, this.#target, this.#target.length, source, source.length, levelFor(source.length));
    if (isError(code) !== 0) throw new Error('zstd refused to compress');
    return this.#target.subarray(0, Number(code));
  }

  free(): void {
    if (this.#isFree) return;
    this.#isFree = true;
    this.#functions?.freeCompressor(this.#context);
    letGo(this.#target);
  }
}

interface Native {
  readonly target: Buffer;
  /** `hint`: 0 at the end of a frame, negative when it is broken. */
  step(source: Uint8Array): { readonly read: number; readonly written: number; readonly hint: number };
  free(): void;
}

function bindNative(): Native | undefined {
  const functions = nodeFunctions(prototypes);
  if (functions === undefined) return undefined;
  const { create, free, isError, decompress } = functions;
  const context = create();
  const target = Buffer.allocUnsafeSlow(pieceLength);
  const positions = new BigUint64Array(2);
  const [written, read] = [positions.subarray(0, 1), positions.subarray(1, 2)];
  // A second `free`, or a call after it, would corrupt the memory of the whole process.
  let isFree = false;
  return {
    target,
    step(source) {
      if (isFree) throw new Error('a stream was used after it was freed');
      positions.fill(0n);
      const code = decompress(context, target, target.length, written, source, source.length, read);
      return { read: Number(read[0]), written: Number(written[0]), hint: isError(code) === 0 ? Number(code) : -1 };
    },
    free() {
      if (isFree) return;
      isFree = true;
      free(context);
    },
  };
}

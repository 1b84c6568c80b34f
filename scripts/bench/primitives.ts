/**
 * What the work of a backup would take if it were nothing but its primitives: the program's own chunker, hash, compression and encryption, over
 * the very data, each alone, on one thread, warmed up, from memory. Processor seconds.
 */
import { closeSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { CipherKey, Chunker, gearTable, gearTableInfo, gearTableLength } from '../../src/restic/format/index.ts';
import { BlobCodec } from '../../src/restic/pipeline/blob-codec.ts';
import type { Primitives } from './results.ts';

/** Read before anything is timed, and short enough to stay in the processor's caches, as a chunk does in a backup. */
const batchLength = 4 * 1024 * 1024;
const largestPiece = 16 * 1024 * 1024;
/** Rounds over the first batches that are not counted: a backup's machine code is hot for most of its time. */
const warmUpBatches = 4;

export function measurePrimitives(directory: string): Primitives {
  const key = CipherKey.generate();
  const bench = new PrimitiveBench(key);
  let batch: Buffer[] = [];
  let length = 0;
  let batches = 0;
  const flush = (): void => {
    if (batches < warmUpBatches) bench.run(batch, false);
    bench.run(batch, true);
    batches += 1;
    batch = [];
    length = 0;
  };
  for (const piece of piecesBelow(directory)) {
    batch.push(piece);
    length += piece.length;
    if (length >= batchLength) flush();
  }
  if (length > 0) flush();
  bench.free();
  key.wipe();
  return bench.spent;
}

class PrimitiveBench {
  readonly spent: Primitives = { chunking: 0, sha256: 0, compression: 0, sealing: 0, packSha256: 0 };
  readonly #codec: BlobCodec;
  readonly #chunker: Chunker;
  readonly #known = new Set<string>();
  readonly #sealed = Buffer.alloc(2 * largestPiece + batchLength);

  constructor(key: CipherKey) {
    this.#codec = new BlobCodec(key.material);
    this.#chunker = new Chunker(gearTable(key.derive(gearTableInfo, gearTableLength)));
  }

  run(files: readonly Buffer[], counts: boolean): void {
    const account = <T>(name: keyof Primitives, work: () => T): T => {
      const before = process.threadCpuUsage();
      const outcome = work();
      const { user, system } = process.threadCpuUsage(before);
      if (counts) this.spent[name] += (user + system) / 1e6;
      return outcome;
    };
    const chunks = account('chunking', () => files.flatMap((file) => this.#cut(file)));
    const digests = account('sha256', () => chunks.map((chunk) => Buffer.from(this.#codec.sha256(chunk))));
    // A chunk that is there already costs a backup no more than its hash.
    const fresh = chunks.filter((_, i) => {
      const id = digests[i]!.toString('latin1');
      if (this.#known.has(id)) return false;
      if (counts) this.#known.add(id);
      return true;
    });
    const payloads: Uint8Array[] = [];
    for (const chunk of fresh) {
      const compressed = account('compression', () => this.#codec.compress(chunk));
      payloads.push(compressed === undefined ? chunk : Uint8Array.from(compressed));
    }
    const end = account('sealing', () => payloads.reduce((at, payload) => at + this.#codec.seal(payload, this.#sealed, at), 0));
    // A pack is named after the hash of all that it holds.
    account('packSha256', () => this.#codec.sha256(this.#sealed.subarray(0, end)));
  }

  free(): void {
    this.#codec.free();
  }

  #cut(file: Buffer): Buffer[] {
    const chunks: Buffer[] = [];
    let start = 0;
    this.#chunker.reset();
    for (let cut = this.#chunker.next(file, start, file.length); cut >= 0; cut = this.#chunker.next(file, start, file.length)) {
      chunks.push(file.subarray(start, start + cut));
      start += cut;
      if (start === file.length) break;
    }
    if (start < file.length) chunks.push(file.subarray(start));
    return chunks;
  }
}

/** The contents of all files; large ones in pieces. */
function* piecesBelow(directory: string): Generator<Buffer> {
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const descriptor = openSync(join(entry.parentPath, entry.name), 'r');
    for (let left = fstatSync(descriptor).size; left > 0; ) {
      const piece = Buffer.allocUnsafe(Math.min(left, largestPiece));
      left -= readSync(descriptor, piece);
      yield piece;
    }
    closeSync(descriptor);
  }
}

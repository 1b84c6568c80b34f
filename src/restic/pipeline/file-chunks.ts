import { readSync } from 'node:fs';
import { Chunker, maxChunkLength } from '../format/index.ts';
import type { FileJob } from './messages.ts';

/** Read at once: small enough that hashing finds the bytes still in the processor's cache. */
const readLength = 1024 * 1024;
const bufferLength = maxChunkLength + readLength + 1;

export type Ranges = Iterable<readonly [offset: number, length: number]>;

export interface ChunkSink {
  /** `bytes` is valid during the call only. */
  chunk(bytes: Uint8Array): void;
  /** A whole chunk of zeros that was never read, `length` bytes. */
  zeros(length: number): void;
}

/** What came of a file: bytes that were cut into chunks, and whether it had another length than was said. */
export interface ReadOutcome {
  readonly bytes: number;
  readonly hasChanged: boolean;
}

/** Reads files and cuts them; one for each thread, for it keeps its buffer. */
export class FileChunks {
  readonly #chunker: Chunker;
  readonly #buffer = Buffer.allocUnsafeSlow(bufferLength);

  constructor(gear: Int32Array) {
    this.#chunker = new Chunker(gear);
  }

  /**
   * Cuts a job's stretch of its file. Throws what `read` throws.
   * @param data - for a sparse file: where it holds data
   */
  read(job: FileJob, sink: ChunkSink, data?: Ranges): ReadOutcome {
    const buffer = this.#buffer;
    const limit = job.offset + job.length;
    const holes = data === undefined ? undefined : new HoleFinder(data, limit);
    let position = this.#skipHoles(holes, job.offset, limit, sink);
    let start = 0;
    let end = 0;
    let hasGrown = false;
    this.#chunker.reset();
    for (;;) {
      const cut = this.#chunker.next(buffer, start, end);
      if (cut >= 0) {
        sink.chunk(buffer.subarray(start, start + cut));
        start += cut;
        if (start === end) position = this.#skipHoles(holes, position, limit, sink);
        continue;
      }
      if (position === limit) break;
      if (end + readLength >= bufferLength) {
        buffer.copyWithin(0, start, end);
        end -= start;
        start = 0;
      }
      const wanted = Math.min(readLength, limit - position);
      // One byte more than was said shows a file that has grown.
      const probe = job.isWholeFile && wanted === limit - position ? 1 : 0;
      const got = this.#fill(job.descriptor, end, wanted + probe, position, holes);
      if (got === 0) break;
      hasGrown ||= got > wanted;
      position += Math.min(got, wanted);
      end += Math.min(got, wanted);
    }
    if (start < end) sink.chunk(buffer.subarray(start, end));
    return { bytes: position - job.offset, hasChanged: hasGrown || position < limit };
  }

  #fill(descriptor: number, at: number, length: number, position: number, holes: HoleFinder | undefined): number {
    const zeros = holes?.holeFrom(position) ?? 0;
    if (zeros === 0) return readSync(descriptor, this.#buffer, at, Math.min(length, holes?.dataFrom(position) ?? length), position);
    const filled = Math.min(length, zeros);
    this.#buffer.fill(0, at, at + filled);
    return filled;
  }

  /** Within a hole, chunks of zeros as large as the format allows follow one another; they need not be read or scanned. */
  #skipHoles(holes: HoleFinder | undefined, from: number, limit: number, sink: ChunkSink): number {
    if (holes === undefined) return from;
    let position = from;
    const hole = Math.min(holes.holeFrom(position), limit - position);
    for (let left = hole; left >= maxChunkLength; left -= maxChunkLength) {
      sink.zeros(maxChunkLength);
      position += maxChunkLength;
    }
    return position;
  }
}

/** Where holes are, for positions that only go up. */
class HoleFinder {
  readonly #ranges: Iterator<readonly [offset: number, length: number]>;
  readonly #limit: number;
  #start = 0;
  #end = 0;

  constructor(ranges: Ranges, limit: number) {
    this.#ranges = ranges[Symbol.iterator]();
    this.#limit = limit;
  }

  /** Bytes of hole from here to the next data; 0 within data. */
  holeFrom(position: number): number {
    this.#advance(position);
    return position < this.#start ? this.#start - position : 0;
  }

  /** Bytes of data from here to the next hole. */
  dataFrom(position: number): number {
    this.#advance(position);
    return this.#end - position;
  }

  #advance(position: number): void {
    while (position >= this.#end) {
      const next = this.#ranges.next();
      if (next.done === true) {
        this.#start = this.#limit;
        this.#end = Number.POSITIVE_INFINITY;
        return;
      }
      this.#start = next.value[0];
      this.#end = next.value[0] + next.value[1];
    }
  }
}

import type { StreamSource } from '../contract.ts';
import { Chunker, maxChunkLength, type Id } from '../format/index.ts';
import type { PackingWriter } from '../repository/index.ts';
import type { Reach } from './reach.ts';
import type { Statistics } from './statistics.ts';

const bufferLength = maxChunkLength + 1024 * 1024;

export interface StreamSinks {
  readonly gear: Int32Array;
  readonly writer: PackingWriter;
  readonly reach: Reach;
  readonly statistics: Statistics;
}

/** What came of a stream; `problem` is what its source threw, where the backup may go on without it. */
export type StreamContent = { readonly content: readonly Id[]; readonly size: number } | { readonly problem: unknown };

/**
 * Stores what a stream gives, on this thread and no faster than the store takes it: a stream comes over a network, and cannot be read in several places at once.
 * @throws what the store throws; what the source throws, unless it may fail
 */
export async function storeStream(stream: StreamSource, sinks: StreamSinks, signal: AbortSignal): Promise<StreamContent> {
  const { writer, reach, statistics } = sinks;
  const content: Id[] = [];
  let size = 0;
  const watched = new WatchedSource(stream.open(signal));
  try {
    for await (const chunk of chunksOf(watched, new Chunker(sinks.gear))) {
      const saved = await writer.save('data', chunk);
      if (saved.pack !== undefined) reach.mark(saved.pack);
      if (saved.isNew) {
        statistics.dataBlobs += 1;
        statistics.dataAdded += chunk.length;
        statistics.bytesAdded += saved.bytesAdded;
      }
      statistics.bytesDone += chunk.length;
      statistics.report();
      size += chunk.length;
      content.push(saved.id);
      signal.throwIfAborted();
    }
    return { content, size };
  } catch (error) {
    if (stream.mayFail !== true || signal.aborted || !watched.hasThrown(error)) throw error;
    return { problem: error };
  }
}

/** Knows whether an error is the source's or that of whoever reads it. */
class WatchedSource implements AsyncIterable<Uint8Array> {
  readonly #source: AsyncIterable<Uint8Array>;
  #thrown: { readonly error: unknown } | undefined;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source;
  }

  hasThrown(error: unknown): boolean {
    return this.#thrown !== undefined && this.#thrown.error === error;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    const iterator = this.#source[Symbol.asyncIterator]();
    let isDone = false;
    try {
      for (;;) {
        const next = await iterator.next().catch((error: unknown) => {
          this.#thrown = { error };
          isDone = true;
          throw error;
        });
        if (next.done === true) {
          isDone = true;
          return;
        }
        yield next.value;
      }
    } finally {
      if (!isDone) await iterator.return?.();
    }
  }
}

/** The pieces of a stream as chunks, each valid until the next is asked for. */
async function* chunksOf(pieces: AsyncIterable<Uint8Array>, chunker: Chunker): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.allocUnsafeSlow(bufferLength);
  let start = 0;
  let end = 0;
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      if (end === bufferLength) {
        // What is left of an open chunk is shorter than the longest one, so this makes room.
        buffer.copyWithin(0, start, end);
        end -= start;
        start = 0;
      }
      const count = Math.min(piece.length - at, bufferLength - end);
      buffer.set(piece.subarray(at, at + count), end);
      at += count;
      end += count;
      for (let cut = chunker.next(buffer, start, end); cut >= 0; cut = chunker.next(buffer, start, end)) {
        yield buffer.subarray(start, start + cut);
        start += cut;
      }
    }
  }
  if (start < end) yield buffer.subarray(start, end);
}

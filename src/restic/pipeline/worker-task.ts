import { closeSync } from 'node:fs';
import { keyOfBytes } from '../format/index.ts';
import { errnoCodeOf, openSourceReader, type SourceReader } from '../fs/index.ts';
import { BlobTable } from '../repository/blob-table.ts';
import { BlobCodec } from './blob-codec.ts';
import { FileChunks } from './file-chunks.ts';
import { packResults, type FileJob, type FileResult, type FromWorker, type PackMessage, type ToWorker, type WorkerStart } from './messages.ts';
import { PackBuffers } from './pack-buffers.ts';
import { PackBuilder, type OpenPack } from './pack-builder.ts';

type Post = (message: FromWorker, transfer: ArrayBuffer[]) => void;

interface Counts {
  newBlobs: number;
  newBytes: number;
  bytesAdded: number;
}

/** What one worker thread does: read, cut, hash, look up, compress, encrypt, pack. All of it synchronous, in reused buffers. */
export class WorkerTask {
  readonly #start: WorkerStart;
  readonly #post: Post;
  readonly #codec: BlobCodec;
  readonly #table: BlobTable;
  readonly #chunks: FileChunks;
  readonly #builder: PackBuilder;
  readonly #buffers: PackBuffers;
  readonly #reached: Int32Array;
  readonly #key = new Int32Array(8);
  #sourceReader: SourceReader | undefined;
  #idOfZeros: string | undefined;

  constructor(start: WorkerStart, post: Post) {
    this.#start = start;
    this.#post = post;
    this.#codec = new BlobCodec(new Uint8Array(start.material));
    this.#table = new BlobTable(start.table);
    this.#chunks = new FileChunks(start.gear);
    this.#reached = new Int32Array(start.reached);
    this.#buffers = new PackBuffers(start.packBuffers);
    this.#builder = new PackBuilder({
      type: 'data',
      target: start.packTarget,
      isSpread: true,
      codec: this.#codec,
      takeBuffer: (length) => this.#buffers.take(length),
      tryBuffer: (length) => this.#buffers.take(length, false),
      giveBuffer: (buffer) => {
        this.#buffers.give(buffer);
      },
      onFinished: ({ sha256, ...pack }) => {
        const message = this.#packMessage(pack);
        this.#post({ kind: 'pack', pack: { ...message, sha256 } }, transferOf(message));
      },
    });
  }

  handle(message: ToWorker): void {
    switch (message.kind) {
      case 'files':
        this.#files(message.jobs);
        return;
      case 'segment':
        this.#table.addSegment(message.memory);
        return;
      case 'finish': {
        const open = this.#buffers.isStopped ? [] : this.#builder.finishLarge();
        this.#codec.free();
        const messages = open.map((pack) => ({ ...this.#packMessage({ ...pack, header: pack.header.subarray(0, pack.headerLength) }), count: pack.count }));
        this.#post({ kind: 'finished', open: messages }, messages.flatMap(transferOf));
        return;
      }
      default:
        message satisfies never;
    }
  }

  #files(jobs: readonly FileJob[]): void {
    const packed = packResults(jobs.map((job) => this.#file(job)));
    this.#post({ kind: 'results', ...packed }, [packed.numbers.buffer]);
  }

  #file(job: FileJob): FileResult {
    const counts: Counts = { newBlobs: 0, newBytes: 0, bytesAdded: 0 };
    const ids: string[] = [];
    try {
      const data = job.isSparse ? this.#source().dataRanges(job.descriptor, job.offset + job.length) : undefined;
      const sink = {
        chunk: (bytes: Uint8Array) => {
          ids.push(this.#blob(bytes, counts));
        },
        zeros: (length: number) => {
          // Always the same length: hashed once.
          this.#idOfZeros ??= this.#blob(Buffer.alloc(length), counts);
          ids.push(this.#idOfZeros);
        },
      };
      const outcome = this.#buffers.isStopped ? { bytes: 0, hasChanged: true } : this.#chunks.read(job, sink, data);
      const { newBlobs, newBytes, bytesAdded } = counts;
      const content = ids.length === 0 ? '' : `"${ids.join('","')}"`;
      return { ticket: job.ticket, content, bytes: outcome.bytes, hasChanged: outcome.hasChanged, newBlobs, newBytes, bytesAdded };
    } catch (error) {
      const problem = errnoCodeOf(error);
      if (problem === undefined) throw error;
      return { ticket: job.ticket, content: '', bytes: 0, hasChanged: true, ...counts, problem };
    } finally {
      if (job.isWholeFile) closeSync(job.descriptor);
    }
  }

  #source(): SourceReader {
    return (this.#sourceReader ??= openSourceReader());
  }

  #blob(bytes: Uint8Array, counts: Counts): string {
    const digest = this.#codec.sha256(bytes);
    const id = Buffer.from(digest.buffer, digest.byteOffset, 32).toString('hex');
    const claim = this.#table.claim('data', keyOfBytes(digest, this.#key));
    if (claim.state === 'placed') this.#reach(claim.pack);
    if (claim.state === 'new') {
      counts.newBlobs += 1;
      counts.newBytes += bytes.length;
      counts.bytesAdded += this.#builder.add(Buffer.from(id, 'hex'), bytes, this.#start.compression);
    }
    return id;
  }

  #packMessage({ type, body, length, header }: Pick<OpenPack, 'type' | 'body' | 'length'> & { readonly header: Uint8Array }): PackMessage {
    return { type, body: this.#buffers.lend(body), length, header: Uint8Array.from(header) };
  }

  /** Packs of this run have higher numbers than the bitmap has bits; all of them are reached anyway. */
  #reach(pack: number): void {
    const word = pack >>> 5;
    if (word < this.#reached.length) Atomics.or(this.#reached, word, 1 << (pack & 31));
  }
}

function transferOf({ body }: PackMessage): ArrayBuffer[] {
  return typeof body === 'number' ? [] : [body];
}

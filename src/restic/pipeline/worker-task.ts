import { closeSync } from 'node:fs';
import { receiveMessageOnPort, type MessagePort } from 'node:worker_threads';
import { keyOfBytes } from '../format/index.ts';
import { errnoCodeOf, openSourceReader, type SourceReader } from '../fs/index.ts';
import { BlobTable } from '../repository/blob-table.ts';
import { BlobCodec } from './blob-codec.ts';
import { FileChunks } from './file-chunks.ts';
import { packResults, type FileJob, type FileResult, type FromWorker, type PackMessage, type ToWorker, type WorkerStart } from './messages.ts';
import { PackBuilder, packCapacity } from './pack-builder.ts';

/** Two packs are open. While one is on its way to the store the other takes everything: a third buffer would only hold memory. */
const maxBuffers = 2;

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
    this.#buffers = new PackBuffers(start.bufferPort, new Int32Array(start.wakeUps));
    this.#builder = new PackBuilder({
      type: 'data',
      isSpread: true,
      codec: this.#codec,
      takeBuffer: (length) => this.#buffers.take(length),
      tryBuffer: (length) => this.#buffers.take(length, false),
      giveBuffer: (buffer) => {
        this.#buffers.give(buffer);
      },
      onFinished: ({ sha256, ...pack }) => {
        this.#post({ kind: 'pack', pack: { ...packMessage(pack), sha256 } }, [pack.body.buffer as ArrayBuffer]);
      },
    });
  }

  handle(message: ToWorker): void {
    switch (message.kind) {
      case 'files':
        this.#files(message.jobs);
        return;
      case 'segment':
        this.#table.addSegment(message.buffer);
        return;
      case 'finish': {
        const open = this.#buffers.isStopped ? [] : this.#builder.finishLarge();
        this.#codec.free();
        const messages = open.map((pack) => ({ ...packMessage({ ...pack, header: pack.header.subarray(0, pack.headerLength) }), count: pack.count }));
        this.#post({ kind: 'finished', open: messages }, open.map((pack) => pack.body.buffer as ArrayBuffer));
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

  /** Packs of this run have higher numbers than the bitmap has bits; all of them are reached anyway. */
  #reach(pack: number): void {
    const word = pack >>> 5;
    if (word < this.#reached.length) Atomics.or(this.#reached, word, 1 << (pack & 31));
  }
}

function packMessage(pack: { readonly type: PackMessage['type']; readonly body: Buffer; readonly length: number; readonly header: Uint8Array }): PackMessage {
  return { type: pack.type, body: pack.body.buffer as ArrayBuffer, length: pack.length, header: Uint8Array.from(pack.header) };
}

/** This worker's pack buffers. When all are on their way to the store, it waits: that is the pipeline's backpressure. */
class PackBuffers {
  readonly #port: MessagePort;
  readonly #wakeUps: Int32Array;
  readonly #spare: Buffer[] = [];
  #made = 0;

  constructor(port: MessagePort, wakeUps: Int32Array) {
    this.#port = port;
    this.#wakeUps = wakeUps;
  }

  get isStopped(): boolean {
    return Atomics.load(this.#wakeUps, 0) < 0;
  }

  take(length: number): Buffer;
  take(length: number, mayWait: boolean): Buffer | undefined;
  take(length: number, mayWait = true): Buffer | undefined {
    // A header too large for its buffer is rare, and the buffer that it replaces comes back in exchange.
    if (length > packCapacity) return Buffer.allocUnsafeSlow(length);
    for (;;) {
      const seen = Atomics.load(this.#wakeUps, 0);
      this.#collect();
      const spare = this.#spare.pop();
      if (spare !== undefined) return spare;
      if (this.#made < maxBuffers || seen < 0) {
        this.#made += 1;
        return Buffer.allocUnsafeSlow(packCapacity);
      }
      if (!mayWait) return undefined;
      Atomics.wait(this.#wakeUps, 0, seen);
    }
  }

  give(buffer: Buffer): void {
    this.#spare.push(buffer);
  }

  #collect(): void {
    for (let got = receiveMessageOnPort(this.#port); got !== undefined; got = receiveMessageOnPort(this.#port)) {
      this.#spare.push(Buffer.from(got.message as ArrayBuffer));
    }
  }
}

import { randomInt } from 'node:crypto';
import type { Compression } from '../contract.ts';
import { headerLengthLength, maxBlobsOfPack, maxChunkLength, sealOverhead, type BlobType } from '../format/index.ts';
import type { BlobCodec } from './blob-codec.ts';

/** A buffer for a pack: any chunk fits on top of the target, and so does the header of a usual pack. Bytes. */
export function capacityFor(packTarget: number): number {
  return packTarget + maxChunkLength + 1024 * 1024;
}

/** For data, so that a pack's size tells nothing of a chunk's (design.rst "Threat Model"); trees have no chunks to hide. */
const openPacks = 2;
const entryLength = 41;

/** A pack whose bytes are complete but for the header, which lies beside them as plaintext. */
export interface OpenPack {
  readonly type: BlobType;
  /** Its capacity; the blobs lie at its front. */
  body: Buffer;
  length: number;
  header: Buffer;
  headerLength: number;
  count: number;
}

/** A pack as it is stored. `body` has spare room behind `length`. */
export interface FinishedPack {
  readonly type: BlobType;
  readonly body: Buffer;
  readonly length: number;
  readonly sha256: Uint8Array;
  /** The header's plaintext. */
  readonly header: Uint8Array;
}

export interface PackBuilderOptions {
  readonly type: BlobType;
  /** Packs are closed once they hold this much, bytes; a blob more may come on top (at most 8 MiB and a little). */
  readonly target: number;
  /** Two packs are open at a time and blobs go to either at random; else one. */
  readonly isSpread: boolean;
  readonly codec: BlobCodec;
  /** A buffer of at least this many bytes. */
  readonly takeBuffer: (length: number) => Buffer;
  /** As `takeBuffer`, or `undefined` where one would have to be waited for; absent where none ever is. */
  readonly tryBuffer?: (length: number) => Buffer | undefined;
  /** Gets a buffer back that was not used up. */
  readonly giveBuffer: (buffer: Buffer) => void;
  readonly onFinished: (pack: FinishedPack) => void;
}

/** Seals blobs into open packs of one type. */
export class PackBuilder {
  readonly #options: PackBuilderOptions;
  #open: [OpenPack | undefined, OpenPack | undefined] = [undefined, undefined];

  constructor(options: PackBuilderOptions) {
    this.#options = options;
  }

  /**
   * Compresses where that pays, and seals.
   * @returns bytes that the blob takes in the pack
   */
  add(id: Uint8Array, plaintext: Uint8Array, compression: Compression = 'auto'): number {
    const compressed = this.#options.codec.compress(plaintext, compression);
    const payload = compressed ?? plaintext;
    const pack = this.#pick(payload.length + sealOverhead);
    const length = this.#options.codec.seal(payload, pack.body, pack.length);
    this.#enter(pack, id, length, compressed === undefined ? 0 : plaintext.length);
    return length;
  }

  /** Takes a sealed blob over as it is. */
  addSealed(id: Uint8Array, sealed: Uint8Array, uncompressedLength: number): void {
    const pack = this.#pick(sealed.length);
    pack.body.set(sealed, pack.length);
    this.#enter(pack, id, sealed.length, uncompressedLength);
  }

  /** Finishes the packs that other builders left open, joined as far as they fit, in the buffers that they have. */
  finishOthers(packs: readonly OpenPack[]): void {
    let current: OpenPack | undefined;
    for (const pack of [...packs].sort((one, other) => other.length - one.length)) {
      if (current !== undefined && current.length + pack.length <= this.#options.target) {
        append(current, pack);
        continue;
      }
      if (current !== undefined) this.#finish(current);
      current = pack;
    }
    if (current !== undefined) this.#finish(current);
  }

  /** The packs that are open; the builder has none afterwards. Two that fit into one come as one. */
  takeOpen(): OpenPack[] {
    const [first, second] = this.#open;
    this.#open = [undefined, undefined];
    if (first === undefined || second === undefined) return [first ?? second].filter((pack) => pack !== undefined);
    if (first.length + second.length > this.#options.target) return [first, second];
    append(first, second);
    this.#options.giveBuffer(second.body);
    return [first];
  }

  /** Finishes what is open and at least half full; the rest comes back, to be joined with others'. */
  finishLarge(): OpenPack[] {
    const open = this.takeOpen();
    for (const pack of open) if (pack.length >= this.#options.target / 2) this.#finish(pack);
    return open.filter((pack) => pack.length < this.#options.target / 2);
  }

  /** Finishes what is open. */
  finish(): void {
    for (const pack of this.takeOpen()) this.#finish(pack);
  }

  #pick(length: number): OpenPack {
    const index = this.#options.isSpread && randomInt(openPacks) === 1 ? 1 : 0;
    const pack = this.#open[index];
    if (pack !== undefined && pack.length + length <= pack.body.length) return pack;
    if (pack !== undefined) this.#finish(pack);
    const capacity = Math.max(capacityFor(this.#options.target), length);
    const spare = this.#options.tryBuffer?.(capacity);
    // While all buffers are on their way to the store, what is open takes everything.
    const other = this.#open[1 - index];
    const mustWait = this.#options.tryBuffer !== undefined && spare === undefined;
    if (mustWait && other !== undefined && other.length + length <= other.body.length) return other;
    const fresh: OpenPack = {
      type: this.#options.type,
      body: spare ?? this.#options.takeBuffer(capacity),
      length: 0,
      header: Buffer.allocUnsafe(256 * entryLength),
      headerLength: 0,
      count: 0,
    };
    this.#open[index] = fresh;
    return fresh;
  }

  #enter(pack: OpenPack, id: Uint8Array, length: number, uncompressedLength: number): void {
    reserveHeader(pack, entryLength);
    const { header } = pack;
    const isCompressed = uncompressedLength !== 0;
    let at = header.writeUInt8((pack.type === 'tree' ? 1 : 0) | (isCompressed ? 2 : 0), pack.headerLength);
    at = header.writeUInt32LE(length, at);
    if (isCompressed) at = header.writeUInt32LE(uncompressedLength, at);
    header.set(id, at);
    pack.headerLength = at + 32;
    pack.length += length;
    pack.count += 1;
    if (pack.length >= this.#options.target || pack.count >= maxBlobsOfPack) this.#finish(pack);
  }

  #finish(pack: OpenPack): void {
    if (this.#open[0] === pack) this.#open[0] = undefined;
    if (this.#open[1] === pack) this.#open[1] = undefined;
    this.#options.onFinished(closePack(pack, this.#options));
  }
}

/** Seals the header behind the blobs and hashes the whole. */
function closePack(pack: OpenPack, { codec, takeBuffer, giveBuffer }: PackBuilderOptions): FinishedPack {
  const end = pack.length + pack.headerLength + sealOverhead + headerLengthLength;
  if (pack.body.length < end) {
    const larger = takeBuffer(end);
    larger.set(pack.body.subarray(0, pack.length));
    giveBuffer(pack.body);
    pack.body = larger;
  }
  const header = pack.header.subarray(0, pack.headerLength);
  const sealedLength = codec.seal(header, pack.body, pack.length);
  pack.body.writeUInt32LE(sealedLength, pack.length + sealedLength);
  const sha256 = Uint8Array.from(codec.sha256(pack.body.subarray(0, end)));
  return { type: pack.type, body: pack.body, length: end, sha256, header };
}

function reserveHeader(pack: OpenPack, more: number): void {
  if (pack.headerLength + more <= pack.header.length) return;
  const larger = Buffer.allocUnsafe(Math.max(pack.header.length * 2, pack.headerLength + more));
  larger.set(pack.header.subarray(0, pack.headerLength));
  pack.header = larger;
}

function append(pack: OpenPack, other: OpenPack): void {
  pack.body.set(other.body.subarray(0, other.length), pack.length);
  reserveHeader(pack, other.headerLength);
  pack.header.set(other.header.subarray(0, other.headerLength), pack.headerLength);
  pack.length += other.length;
  pack.headerLength += other.headerLength;
  pack.count += other.count;
}

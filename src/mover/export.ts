import { createHash, randomBytes } from 'node:crypto';
import { open, rename, unlink } from 'node:fs/promises';
import { EngineError, REPAIR } from '../restic/errors.ts';
import { memoryPlan } from '../restic/memory-plan.ts';
import { StorageError, type ObjectStore } from '../storage/index.ts';
import { damagedContent, promisedHash, verifyContent } from './content-name.ts';
import { exportLayout, type ExportLayout, type ExportSegment } from './export-layout.ts';
import { findManifest } from './manifest-store.ts';
import { outputFileError } from './output-file-error.ts';

/** Larger objects (the index of a huge repository) are streamed instead of held. Bytes. */
const HELD_OBJECT = 64 * 1024 * 1024;

export interface ExportProgress {
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

export interface ExportRequest {
  /** At `g<generation>/`, or a repository that the command line made. */
  readonly store: ObjectStore;
  /** A snapshot's id, the beginning of one, or `latest`. */
  readonly snapshot: string;
  /** The file that is made; it must not exist yet. */
  readonly output: string;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: ExportProgress) => void;
}

export interface ExportOutcome {
  readonly snapshot: string;
  readonly output: string;
  /** bytes */
  readonly size: number;
  /** Objects in the file. */
  readonly files: number;
  readonly complete: boolean;
}

/**
 * Writes one snapshot with everything it needs into one file (`layout.md`, "The downloaded file"). Needs no key. The file appears
 * whole or not at all.
 * @throws {EngineError} `NoSuchSnapshot` where no manifest names it, `Damaged`, `AlreadyInitialized` when the file exists, `NoSpace`.
 */
export async function exportSnapshot(request: ExportRequest): Promise<ExportOutcome> {
  const { store, output, signal, onProgress } = request;
  const manifest = await findManifest(store, request.snapshot, signal);
  const layout = exportLayout(manifest);
  const partial = `${output}.partial-${randomBytes(6).toString('hex')}`;
  await refuseExisting(output);
  try {
    const file = await open(partial, 'wx', 0o600);
    try {
      let bytesDone = 0;
      for await (const chunk of exportBytes(store, layout, signal === undefined ? {} : { signal })) {
        await file.appendFile(chunk);
        bytesDone += chunk.byteLength;
        onProgress?.({ bytesDone, bytesTotal: layout.size });
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, output);
  } catch (error) {
    await unlink(partial).catch(() => undefined);
    throw outputFileError(error, output);
  }
  return { snapshot: manifest.snapshot, output, size: layout.size, files: countObjects(layout), complete: manifest.complete };
}

export interface ExportRange {
  /** First byte; 0 where absent. */
  readonly start?: number;
  /** The byte after the last one; the file's size where absent. */
  readonly end?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The bytes of the downloaded file, or a range of them for a download that is resumed. Objects that are sent whole are verified
 * before their first byte leaves (very large ones while they do).
 */
export async function* exportBytes(store: ObjectStore, layout: ExportLayout, range: ExportRange = {}): AsyncIterable<Uint8Array> {
  const start = range.start ?? 0;
  const end = range.end ?? layout.size;
  const wanted = layout.segments.filter(({ offset, size }) => offset < end && offset + size > start);
  const fetched: (Promise<Uint8Array> | undefined)[] = [];
  // Every other segment is the header of an object.
  const readAhead = 2 * memoryPlan().packsAtOnce;
  let ahead = 0;
  for (const [index, segment] of wanted.entries()) {
    for (; ahead < wanted.length && ahead < index + readAhead; ahead += 1) {
      const next = wanted[ahead];
      if (next !== undefined) fetched[ahead] = fetchHeld(store, next, start, end, range.signal);
    }
    const held = fetched[index];
    fetched[index] = undefined;
    if (held !== undefined) yield await held;
    else if (segment.kind === 'object') yield* streamObject(store, segment, start, end, range.signal);
  }
}

/** The part of a segment that lies in the range, in memory; `undefined` for an object that is too large for that. */
function fetchHeld(store: ObjectStore, segment: ExportSegment, start: number, end: number, signal: AbortSignal | undefined): Promise<Uint8Array> | undefined {
  const from = Math.max(0, start - segment.offset);
  const to = Math.min(segment.size, end - segment.offset);
  if (segment.kind === 'bytes') return Promise.resolve(segment.bytes.subarray(from, to));
  if (to - from > HELD_OBJECT) return undefined;
  const whole = from === 0 && to === segment.size;
  const reading = whole ? readVerified(store, segment.name, segment.size, signal) : store.get(segment.name, { range: { offset: from, length: to - from }, signal });
  const fetching = reading.catch((error: unknown) => {
    throw damageOf(error, segment.name, store.location);
  });
  // It is awaited when its turn comes; until then a failure must not count as unhandled.
  fetching.catch(() => undefined);
  return fetching;
}

async function readVerified(store: ObjectStore, name: string, size: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const bytes = await store.get(name, { signal });
  if (bytes.byteLength !== size) throw wrongSize(name, size, bytes.byteLength, store.location);
  verifyContent(name, bytes, store.location);
  return bytes;
}

async function* streamObject(
  store: ObjectStore,
  { name, offset, size }: Extract<ExportSegment, { kind: 'object' }>,
  start: number,
  end: number,
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  const from = Math.max(0, start - offset);
  const to = Math.min(size, end - offset);
  const digest = createHash('sha256');
  try {
    for await (const chunk of store.getStream(name, { range: { offset: from, length: to - from }, signal })) {
      digest.update(chunk);
      yield chunk;
    }
  } catch (error) {
    throw damageOf(error, name, store.location);
  }
  const whole = from === 0 && to === size;
  if (whole && promisedHash(name) !== digest.digest('hex')) throw damagedContent(name, store.location);
}

async function refuseExisting(output: string): Promise<void> {
  try {
    const file = await open(output, 'r');
    await file.close();
  } catch {
    return;
  }
  throw new EngineError('AlreadyInitialized', `${output} exists already; it is not written over. Name another file, or remove it`);
}

function countObjects(layout: ExportLayout): number {
  return layout.segments.filter(({ kind }) => kind === 'object').length;
}

/** What the manifest names and the store does not have, or not whole, is damage. */
function damageOf(error: unknown, name: string, where: string): unknown {
  if (!(error instanceof StorageError) || (error.code !== 'NotFound' && error.code !== 'Truncated')) return error;
  return new EngineError('Damaged', `${name} in ${where} is missing or cut short, and the snapshot needs it. ${REPAIR}`, { context: { name, where }, cause: error });
}

function wrongSize(name: string, expected: number, got: number, where: string): EngineError {
  return new EngineError('Damaged', `${name} in ${where} has ${got} bytes, its manifest says ${expected}. ${REPAIR}`, { context: { name, where } });
}

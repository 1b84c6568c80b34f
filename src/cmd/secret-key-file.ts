import { constants, fstatSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { Socket } from 'node:net';
import { addAbortSignal, type Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { isErrno } from '../storage/index.ts';
import type { ProcessContext } from './command-context.ts';
import { UsageError } from './usage-error.ts';

const MAX_BYTES = 64 * 1024;
const DESCRIPTOR = /^\/(?:dev|proc\/self)\/fd\/([0-9]{1,6})$/;
const STDIN = 0;
/** How often a FIFO that holds nothing yet is looked at. Milliseconds. */
const LOOK_EVERY = 25;

/**
 * Reads what `--secret-key-file` names, once: a file, a pipe such as `/dev/fd/3`, or `-` for stdin. Line ends around it do
 * not belong to the key. Whoever writes a pipe may take its time; no read blocks a thread, so a signal ends the waiting. The caller wipes the bytes.
 * @throws {UsageError} when it cannot be read, is empty or too long to be a key.
 */
export async function readSecretKeyBytes(name: string, context: Pick<ProcessContext, 'stdin' | 'signal'>): Promise<Uint8Array> {
  const buffer = new Uint8Array(MAX_BYTES);
  let length: number;
  try {
    length = await fill(buffer, name, context);
  } catch (cause) {
    buffer.fill(0);
    context.signal.throwIfAborted();
    throw new UsageError(`--secret-key-file ${name}: it cannot be read (${cause instanceof Error ? cause.message : String(cause)})`);
  }
  const key = trim(buffer.subarray(0, length));
  if (key.byteLength === 0) throw new UsageError(`--secret-key-file ${name}: it is empty; it must hold the secret key`);
  if (length >= MAX_BYTES) throw new UsageError(`--secret-key-file ${name}: it is too long to be a key; is it the right file?`);
  return key;
}

/** @returns how many bytes came, `MAX_BYTES` at most */
async function fill(buffer: Uint8Array, name: string, context: Pick<ProcessContext, 'stdin' | 'signal'>): Promise<number> {
  const descriptor = name === '-' ? STDIN : Number(DESCRIPTOR.exec(name)?.[1] ?? NaN);
  const { signal } = context;
  if (descriptor === STDIN) return drain(context.stdin, buffer, signal);
  // A descriptor is read as it is: opening /dev/fd/N anew fails for sockets, which is what some programs make for pipes.
  const found = Number.isNaN(descriptor) ? undefined : fstatSync(descriptor);
  if (found?.isFIFO() === true || found?.isSocket() === true) return drain(new Socket({ fd: descriptor, readable: true, writable: false }), buffer, signal);
  // Opening a FIFO that nobody writes would hold a thread, and with it the end of the process.
  const file = await open(name, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return await readFile(file, buffer, signal);
  } finally {
    await file.close();
  }
}

async function drain(stream: Readable, buffer: Uint8Array, signal: AbortSignal): Promise<number> {
  let length = 0;
  for await (const chunk of addAbortSignal(signal, stream) as AsyncIterable<Uint8Array>) {
    const taken = chunk.subarray(0, buffer.byteLength - length);
    buffer.set(taken, length);
    length += taken.byteLength;
    chunk.fill(0);
    if (length === buffer.byteLength) break;
  }
  return length;
}

async function readFile(file: FileHandle, buffer: Uint8Array, signal: AbortSignal): Promise<number> {
  const isFifo = (await file.stat()).isFIFO();
  let length = 0;
  while (length < buffer.byteLength) {
    const bytesRead = await readSome(file, buffer, length);
    // Before its writer has come a FIFO ends at once, too.
    if (bytesRead === 0 && (!isFifo || length > 0)) break;
    if (bytesRead === undefined || bytesRead === 0) await delay(LOOK_EVERY, undefined, { signal });
    length += bytesRead ?? 0;
  }
  return length;
}

/** `undefined` while there is nothing yet. */
async function readSome(file: FileHandle, buffer: Uint8Array, at: number): Promise<number | undefined> {
  try {
    return (await file.read(buffer, at, buffer.byteLength - at, null)).bytesRead;
  } catch (error) {
    if (isErrno(error, 'EAGAIN')) return undefined;
    throw error;
  }
}

/** Without white space at either end, as restic reads its password files. */
function trim(bytes: Uint8Array): Uint8Array {
  let start = 0;
  let end = bytes.byteLength;
  while (start < end && isSpace(bytes[start])) start += 1;
  while (end > start && isSpace(bytes[end - 1])) end -= 1;
  const trimmed = Uint8Array.from(bytes.subarray(start, end));
  bytes.fill(0);
  return trimmed;
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || (byte !== undefined && byte >= 0x09 && byte <= 0x0d);
}

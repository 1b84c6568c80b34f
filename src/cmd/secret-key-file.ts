import { read as readDescriptor } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { UsageError } from './usage-error.ts';

const MAX_BYTES = 64 * 1024;
const DESCRIPTOR = /^\/(?:dev|proc\/self)\/fd\/([0-9]+)$/;
const STDIN = 0;

/**
 * Reads what `--secret-key-file` names, once: a file, a pipe such as `/dev/fd/3`, or `-` for stdin. Line ends around it do
 * not belong to the key. The caller wipes the bytes.
 * @throws {UsageError} when it cannot be read, is empty or too long to be a key.
 */
export async function readSecretKeyBytes(name: string): Promise<Uint8Array> {
  const descriptor = name === '-' ? STDIN : Number(DESCRIPTOR.exec(name)?.[1] ?? NaN);
  let bytes: Uint8Array;
  try {
    // A descriptor is read as it is: opening /dev/fd/N anew fails for sockets, which is what some programs make for pipes.
    bytes = Number.isNaN(descriptor) ? await readFile(name) : await readToEnd(descriptor);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError(`--secret-key-file ${name}: it cannot be read (${reason})`);
  }
  const key = trim(bytes);
  if (key.byteLength === 0) throw new UsageError(`--secret-key-file ${name}: it is empty; it must hold the secret key`);
  if (key.byteLength >= MAX_BYTES) throw new UsageError(`--secret-key-file ${name}: it is too long to be a key; is it the right file?`);
  return key;
}

async function readToEnd(descriptor: number): Promise<Uint8Array> {
  const buffer = new Uint8Array(MAX_BYTES);
  let length = 0;
  while (length < buffer.byteLength) {
    const { bytesRead } = await promisify(readDescriptor)(descriptor, buffer, length, buffer.byteLength - length, null);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
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

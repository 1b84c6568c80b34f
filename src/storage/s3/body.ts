import { createHash, hash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { ObjectBody } from '../object-store.ts';
import { bodyParts } from '../object-body.ts';

/** A body as the SDK takes it. Several buffers become a stream over them, so that they are not joined in memory. */
export function toRequestBody(body: ObjectBody): Uint8Array | Readable {
  if (body instanceof Uint8Array) return body;
  const [only, ...others] = body;
  if (only === undefined) return new Uint8Array(0);
  return others.length === 0 ? only : Readable.from(body, { objectMode: false });
}

/** SHA-256 in hex; of what the caller knows already, or computed. */
export function sha256Hex(body: ObjectBody, known?: Uint8Array): string {
  if (known !== undefined) return Buffer.from(known.buffer, known.byteOffset, known.byteLength).toString('hex');
  if (body instanceof Uint8Array) return hash('sha256', body, 'hex');
  const digest = createHash('sha256');
  for (const part of body) digest.update(part);
  return digest.digest('hex');
}

/** Bytes `offset` to `offset + length` of a body, as views of its buffers. */
export function sliceBody(body: ObjectBody, offset: number, length: number): Uint8Array[] {
  const slice: Uint8Array[] = [];
  let at = 0;
  for (const part of bodyParts(body)) {
    const from = Math.max(0, offset - at);
    const to = Math.min(part.byteLength, offset + length - at);
    if (from < to) slice.push(part.subarray(from, to));
    at += part.byteLength;
  }
  return slice;
}

import { BLOCK, decodeHeader, paddingOf, printable } from './header.ts';

/** A file inside a tar, and where its bytes lie. */
export interface TarMember {
  readonly name: string;
  readonly offset: number;
  /** bytes */
  readonly size: number;
}

/** What is read of a file; a `FileHandle` is one. */
export interface TarSource {
  stat(): Promise<{ readonly size: number }>;
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>;
}

/** More than any backup has: a pack holds 16 MiB, so this is 16 TiB. */
const MAX_MEMBERS = 1_000_000;

/**
 * Finds every file of a tar by reading its headers only. Refuses what is cut short, what follows the end, a name that comes
 * twice, and everything that `decodeHeader` does not know.
 * @throws {TypeError} that says what is wrong and where.
 */
export async function indexTar(file: TarSource, signal?: AbortSignal): Promise<TarMember[]> {
  const { size: total } = await file.stat();
  const members: TarMember[] = [];
  const seen = new Set<string>();
  let at = 0;
  for (;;) {
    signal?.throwIfAborted();
    const header = decodeHeader(await readExactly(file, at, BLOCK, total));
    at += BLOCK;
    if (header.kind === 'end') break;
    if (header.kind === 'folder') continue;
    if (header.size > total - at) {
      throw new TypeError(`it is cut short: ${printable(header.name)} should have ${header.size} bytes and only ${total - at} are left`);
    }
    const name = header.name.replace(/^\.\//, '');
    if (seen.has(name)) throw new TypeError(`${printable(name)} is in it twice`);
    if (members.length >= MAX_MEMBERS) throw new TypeError(`it holds more than ${MAX_MEMBERS} files`);
    seen.add(name);
    members.push({ name, offset: at, size: header.size });
    at += header.size + paddingOf(header.size);
  }
  await refuseTrailing(file, at, total);
  return members;
}

/** Reads `length` bytes at `offset`. */
export async function readExactly(file: TarSource, offset: number, length: number, total: number): Promise<Uint8Array> {
  if (offset + length > total) throw new TypeError('it is cut short');
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(bytes, done, length - done, offset + done);
    if (bytesRead === 0) throw new TypeError('it is cut short');
    done += bytesRead;
  }
  return bytes;
}

/** Programs fill a tar up with zeros; anything else behind the end is hidden from some readers and shown to others. */
async function refuseTrailing(file: TarSource, start: number, total: number): Promise<void> {
  const step = 1024 * 1024;
  for (let at = start; at < total; at += step) {
    const rest = await readExactly(file, at, Math.min(step, total - at), total);
    if (rest.some((byte) => byte !== 0)) throw new TypeError('something follows behind its end');
  }
}

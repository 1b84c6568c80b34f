import { createHash } from 'node:crypto';
import { encodeHeader, paddingOf } from '../../src/mover/tar/header.ts';

/** A tar from its parts, with whatever is wrong in it. */
export interface TarPart {
  readonly name: string;
  readonly content?: Uint8Array;
  /** Changes the finished header block; its checksum is made right again. */
  readonly tamper?: (header: Uint8Array) => void;
}

export function tarOf(parts: readonly TarPart[], end: Uint8Array = new Uint8Array(1024)): Uint8Array {
  const blocks = parts.flatMap(({ name, content = new Uint8Array(0), tamper }) => {
    const header = encodeHeader({ name: name.slice(0, 100), size: content.byteLength, mtime: 0 });
    if (tamper !== undefined) {
      tamper(header);
      fixChecksum(header);
    }
    return [header, content, new Uint8Array(paddingOf(content.byteLength))];
  });
  return Buffer.concat([...blocks, end]);
}

/** A file that is named by its content. */
export function contentNamed(folder: string, content: Uint8Array, suffix = ''): TarPart {
  const name = createHash('sha256').update(content).digest('hex');
  return { name: folder === 'data' ? `data/${name.slice(0, 2)}/${name}` : `${folder}/${name}${suffix}`, content };
}

/** The least that is taken for a backup; its contents are not encrypted, which nobody without the key can tell. */
export function soundParts(): TarPart[] {
  return [
    { name: 'README.txt', content: Buffer.from('read me') },
    { name: 'config', content: Buffer.from('config') },
    contentNamed('keys', Buffer.from('key')),
    contentNamed('index', Buffer.from('index')),
    contentNamed('snapshots', Buffer.from('snapshot')),
    contentNamed('data', Buffer.from('first pack')),
    contentNamed('data', Buffer.alloc(3000, 7)),
  ];
}

export function fixChecksum(header: Uint8Array): void {
  header.fill(0x20, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.set(Buffer.from(`${sum.toString(8).padStart(6, '0')}\0 `), 148);
}

import { hash } from 'node:crypto';
import { CipherKey, encodeConfig, encodeKeyFile, encodePackHeader, encodeSnapshot, encodeUnpacked, newConfig, type PackContents, type PackedBlob } from '../../src/restic/format/index.ts';
import type { ObjectStore } from '../../src/storage/index.ts';
import { testPassword } from './real-restic.ts';
import { encodeIndex } from './index-text.ts';

export interface LegacyBlob {
  readonly type: 'data' | 'tree';
  readonly bytes: Uint8Array;
}

/** The id of a blob. */
export function idOf(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex');
}

/** Writes a repository file by file, as programs of other times did: packs in which data and trees are mixed, indexes of any form, trees of any JSON. */
export class LegacyRepository {
  readonly #store: ObjectStore;
  readonly #key = CipherKey.generate();
  readonly #version: 1 | 2;

  constructor(store: ObjectStore, version: 1 | 2) {
    this.#store = store;
    this.#version = version;
  }

  async init(): Promise<void> {
    const keyFile = await encodeKeyFile(this.#key, Buffer.from(testPassword), new Date());
    await this.#store.put(`keys/${idOf(keyFile)}`, keyFile);
    await this.#store.put('config', this.#key.seal(encodeConfig({ ...newConfig(), version: this.#version })));
  }

  /** One pack with the blobs in this order, none compressed. */
  async pack(blobs: readonly LegacyBlob[]): Promise<PackContents> {
    const placed: PackedBlob[] = [];
    const parts: Uint8Array[] = [];
    let offset = 0;
    for (const { type, bytes } of blobs) {
      const sealed = this.#key.seal(bytes);
      placed.push({ type, id: idOf(bytes), offset, length: sealed.length, uncompressedLength: 0 });
      parts.push(sealed);
      offset += sealed.length;
    }
    const header = this.#key.seal(encodePackHeader(placed));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(header.length);
    const pack = Buffer.concat([...parts, header, length]);
    const id = idOf(pack);
    await this.#store.put(`data/${id.slice(0, 2)}/${id}`, pack);
    return { id, blobs: placed };
  }

  /** An index in today's form, which may say what it supersedes. @returns its id */
  index(packs: readonly PackContents[], supersedes: readonly string[] = []): Promise<string> {
    const json = Buffer.from(encodeIndex(packs)).toString();
    return this.#save('index', supersedes.length === 0 ? json : `{"supersedes":${JSON.stringify(supersedes)},${json.slice(1)}`);
  }

  /** An index in the form of 2015: the list of packs alone. */
  oldIndex(packs: readonly PackContents[]): Promise<string> {
    const { packs: list } = JSON.parse(Buffer.from(encodeIndex(packs)).toString()) as { readonly packs: unknown };
    return this.#save('index', JSON.stringify(list));
  }

  snapshot(tree: string): Promise<string> {
    return this.#save('snapshots', Buffer.from(encodeSnapshot({ time: '2015-04-05T06:07:08.123456789+02:00', tree, paths: ['/legacy'], hostname: 'old', tags: [] })).toString());
  }

  async #save(folder: string, json: string): Promise<string> {
    const sealed = this.#key.seal(encodeUnpacked(Buffer.from(json), this.#version));
    await this.#store.put(`${folder}/${idOf(sealed)}`, sealed);
    return idOf(sealed);
  }
}

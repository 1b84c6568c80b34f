import type { ByteString } from '../format/index.ts';
import { errnoCodeOf, splitPath } from '../fs/index.ts';
import type { FileState } from './file-state.ts';
import { applyMetadata } from './metadata.ts';
import type { TargetTree } from './target-tree.ts';

/** Why a place takes no hard link: another file system is mounted there, it has none, or the file has as many names as it can have. */
const unlinkable: ReadonlySet<string> = new Set(['EXDEV', 'EPERM', 'EMLINK', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS']);

/** A further name that became a file of its own. */
export interface CopiedLink {
  /** Why it is no link. */
  readonly code: string;
  /** That were written. */
  readonly bytes: number;
  /** Metadata that could not be set. */
  readonly problems: readonly string[];
}

/** Makes the further names of files; where that cannot be, a copy, for the content counts for more than that it is shared. */
export class FurtherLinks {
  readonly #target: TargetTree;
  /** The last copy of each file: what cannot be a link to the first name may be one to it (on its file system, or as long as it has few names). */
  readonly #copies = new Map<FileState, ByteString>();

  constructor(target: TargetTree) {
    this.#target = target;
  }

  /** @returns `undefined` for a link. @throws {LibcError} when neither can be made */
  async make(first: FileState, path: ByteString, signal: AbortSignal): Promise<CopiedLink | undefined> {
    const copy = this.#copies.get(first);
    const code = this.#link(first.path, path);
    if (code === undefined || (copy !== undefined && this.#link(copy, path) === undefined)) return undefined;
    const copied = await this.#copy(first, path, signal);
    this.#copies.set(first, path);
    return { code, ...copied };
  }

  /** @returns why it cannot be a link */
  #link(first: ByteString, path: ByteString): string | undefined {
    try {
      this.#target.ensureLink(first, path);
      return undefined;
    } catch (error) {
      const code = errnoCodeOf(error);
      if (code === undefined || !unlinkable.has(code)) throw error;
      return code;
    }
  }

  async #copy(first: FileState, path: ByteString, signal: AbortSignal): Promise<Omit<CopiedLink, 'code'>> {
    const target = this.#target;
    try {
      const bytes = await target.copyFile(first.path, path, signal);
      const { directory, name } = splitPath(path);
      const place = { at: target.beneath.directory(directory), name };
      return { bytes, problems: applyMetadata(target.libc, place, { ...first.metadata, isOwnerSet: false }) };
    } catch (error) {
      if (errnoCodeOf(error) !== 'EEXIST' && target.inspect(path) !== undefined) target.remove(path);
      throw error;
    }
  }
}

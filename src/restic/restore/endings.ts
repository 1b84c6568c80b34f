import { textOf, type ByteString } from '../format/index.ts';
import { errnoCodeOf } from '../fs/index.ts';
import type { BatchContext } from './batch-context.ts';
import type { FileState } from './file-state.ts';
import { metadataWarning } from './finish-file.ts';
import { FurtherLinks, type CopiedLink } from './further-links.ts';
import { finishDirectories, missed, type FinishedDirectory } from './finished-directory.ts';

/**
 * What waits until all content is there: further names of files, deletions (nothing is lost before everything else is there), and the directories whose
 * times those two would change.
 */
export class Endings {
  readonly #context: BatchContext;
  readonly #isDry: boolean;
  readonly #links: { readonly first: FileState; readonly path: ByteString; readonly location: ByteString }[] = [];
  readonly #extras: { readonly path: ByteString; readonly location: ByteString }[] = [];
  readonly #directories: FinishedDirectory[] = [];

  constructor(context: BatchContext, isDry: boolean) {
    this.#context = context;
    this.#isDry = isDry;
  }

  link(first: FileState, path: ByteString, location: ByteString): void {
    this.#links.push({ first, path, location });
  }

  remove(path: ByteString, location: ByteString): void {
    this.#extras.push({ path, location });
  }

  finish(directory: FinishedDirectory): void {
    this.#directories.push(directory);
  }

  async run(): Promise<void> {
    await this.#linkAll();
    this.#removeAll();
    finishDirectories(this.#context, this.#directories);
  }

  async #linkAll(): Promise<void> {
    const { target, tally, signal } = this.#context;
    const links = new FurtherLinks(target);
    for (const { first, path, location } of this.#links) {
      signal.throwIfAborted();
      try {
        if (first.isFailed) {
          const message = `${textOf(location)} is another name of ${textOf(first.location)}, which could not be restored`;
          tally.missed({ path: textOf(location), kind: 'unwritable', message });
          continue;
        }
        const copied = this.#isDry ? undefined : await links.make(first, path, signal);
        if (copied !== undefined) this.#noteCopy(copied, first, location);
        tally.fileDone(0, textOf(location));
      } catch (error) {
        missed(this.#context, location, error);
      }
    }
  }

  #noteCopy({ code, bytes, problems }: CopiedLink, first: FileState, location: ByteString): void {
    const { tally } = this.#context;
    tally.bytesWritten += bytes;
    const shown = textOf(location);
    const message = `${shown} is a copy of ${textOf(first.location)} and no further name of it, for the target takes no hard link there (${code})`;
    tally.warn({ path: shown, kind: 'metadata', message });
    if (problems.length > 0) tally.warn(metadataWarning(shown, problems));
  }

  #removeAll(): void {
    const { target, tally } = this.#context;
    for (const { path, location } of this.#extras) {
      if (this.#isDry) {
        tally.deleted++;
        continue;
      }
      try {
        tally.deleted += target.remove(path);
      } catch (error) {
        const code = errnoCodeOf(error);
        if (code === undefined) throw error;
        tally.missed({ path: textOf(location), kind: 'undeletable', message: `${textOf(location)} is not in the snapshot, but could not be removed (${code})` });
      }
    }
  }
}
